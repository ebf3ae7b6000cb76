CREATE TABLE model_registry (version BIGINT NOT NULL);
CREATE TABLE model_versions (version TEXT COLLATE "C" PRIMARY KEY);
CREATE TABLE model_files (
    version TEXT COLLATE "C" NOT NULL REFERENCES model_versions ON DELETE CASCADE, name TEXT COLLATE "C" NOT NULL,
    part BIGINT NOT NULL, data BYTEA NOT NULL, PRIMARY KEY (version, name, part)
);
CREATE TABLE model_small (name TEXT COLLATE "C" PRIMARY KEY, data BYTEA NOT NULL);
