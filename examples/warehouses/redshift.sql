-- Needs a default IAM role of the cluster that may write to the bucket.
UNLOAD ('
  SELECT id, email, phone
  FROM shop.customers
  WHERE marketing_consent
')
TO '@FOLDER@/'
IAM_ROLE DEFAULT
FORMAT AS PARQUET
MAXFILESIZE 64 MB;
