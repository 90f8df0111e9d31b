/**
 * The table and trigger that the extension began with, to the letter: every change says only that something
 * changed.
 */
export const seedSchema = `
  CREATE TABLE servers(
    name TEXT PRIMARY KEY, domain TEXT NOT NULL, address TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'stopped', UNIQUE(domain));
  CREATE FUNCTION routes_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_notify('automc_routes_changed', ''); RETURN NULL; END $$;
  CREATE TRIGGER routes_changed AFTER INSERT OR UPDATE OF domain, address, state OR DELETE ON servers
    FOR EACH ROW EXECUTE FUNCTION routes_changed();
`;
