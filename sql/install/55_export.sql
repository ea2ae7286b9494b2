-- A chain as a file.

CREATE FUNCTION ftchain.export(chain text, from_height bigint DEFAULT 0, to_height bigint DEFAULT NULL,
        bodies text DEFAULT 'held')
    RETURNS SETOF bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_export';
COMMENT ON FUNCTION ftchain.export(text, bigint, bigint, text) IS
    'the pieces of a file of the chain, one for each block, checked before they are given; for COPY with format binary';

CREATE FUNCTION ftchain.export_file(chain text, path text, from_height bigint DEFAULT 0, to_height bigint DEFAULT NULL,
        bodies text DEFAULT 'held', OUT blocks bigint, OUT body_count bigint, OUT bytes bigint, OUT head bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_export_file';
COMMENT ON FUNCTION ftchain.export_file(text, text, bigint, bigint, text) IS
    'write such a file on the server; for members of pg_write_server_files';

CREATE TABLE ftchain.import_piece (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    piece bytea NOT NULL
);
ALTER TABLE ftchain.import_piece ALTER COLUMN piece SET STORAGE EXTERNAL;
COMMENT ON TABLE ftchain.import_piece IS 'pieces of a file of a chain, for import(), which removes those it has taken';
COMMENT ON COLUMN ftchain.import_piece.id IS 'order in which they are taken';
COMMENT ON COLUMN ftchain.import_piece.piece IS 'as export() gives it';

CREATE PROCEDURE ftchain.import(chain text, genesis bytea DEFAULT NULL, bodies text DEFAULT 'all')
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_import';
COMMENT ON PROCEDURE ftchain.import(text, bytea, text) IS
    'take in the blocks in ftchain.import_piece, verified as those of peers are; pass the genesis id that you were told, or it is taken on trust and shown';

CREATE PROCEDURE ftchain.import_file(chain text, path text, genesis bytea DEFAULT NULL, bodies text DEFAULT 'all')
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_import_file';
COMMENT ON PROCEDURE ftchain.import_file(text, text, bytea, text) IS
    'the same with a file of the server, as export_file() or COPY with format binary makes it; for members of pg_read_server_files';
