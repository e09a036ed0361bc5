-- Requests that may be made with a key in a minute; 0: any number. NULL: as many as the setting says.
ALTER TABLE api_keys ADD COLUMN requests_per_minute INTEGER;
