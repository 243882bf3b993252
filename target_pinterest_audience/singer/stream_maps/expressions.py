"""What the expressions of a stream map depend on. Pure."""

from __future__ import annotations

import ast
from collections.abc import Collection


def columns_in(expression: str, name: str, columns: Collection[str]) -> frozenset[str]:
    """Return the columns that an expression reads.

    Args:
        expression: the expression.
        name: the column that it computes. The expression calls this column `self`.
        columns: all columns of the stream.
    """
    nodes = list(ast.walk(ast.parse(expression.strip())))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    found = {name if each == "self" else each for each in names}
    if not names.isdisjoint({"_", "record"}):
        # The expression may read the record by subscript, by `get` or by attribute.
        found |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        found |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return frozenset(found.intersection(columns))


def is_reference(expression: str) -> bool:
    """Return whether an expression only names a column."""
    body = ast.parse(expression.strip()).body
    tree = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    if isinstance(tree, ast.Call):
        return isinstance(tree.func, ast.Attribute) and tree.func.attr == "get" and len(tree.args) == 1
    return isinstance(tree, (ast.Name, ast.Attribute, ast.Subscript))


def is_blank(value: object) -> bool:
    """Return whether a computed value is null, or the text that an expression makes of null."""
    return value is None or str(value).strip().lower() in {"", "none", "null"}
