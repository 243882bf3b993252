-- Needs a storage integration that may write to the bucket. The quotes keep the names of columns in lower case.
COPY INTO '@FOLDER@/'
FROM (
  SELECT id AS "id", email AS "email", phone AS "phone"
  FROM shop.public.customers
  WHERE marketing_consent
)
STORAGE_INTEGRATION = pinterest_exports
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE
MAX_FILE_SIZE = 67108864;
