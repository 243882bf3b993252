-- Needs the role Storage Object Admin on the bucket, which is in the region of the dataset.
EXPORT DATA OPTIONS (
  uri = '@FOLDER@/*.parquet',
  format = 'PARQUET',
  compression = 'SNAPPY'
) AS
SELECT id, email, phone
FROM shop.customers
WHERE marketing_consent;
