/**
 * `milterhost/lookups`: where a postmaster's answers about users, domains and clients come from.
 *
 * Each function makes a description; conditions, `users:` and `policy:` in the configuration open and ask it. What is exported here
 * is described in `docs/lookups.md`.
 */
export type { Found, Lookup, LookupEntry } from './host/policy/lookup.ts'
export type { LookupOptions } from './host/policy/lookup-options.ts'
export { file } from './lookups/file.ts'
export { lookup } from './lookups/function.ts'
export { type HttpOptions, http } from './lookups/http.ts'
export { type LdapOptions, ldap } from './lookups/ldap.ts'
export { type PostfixTableOptions, postfixTable } from './lookups/postfix-table.ts'
export { type RedisOptions, redis } from './lookups/redis.ts'
export { type SqlOptions, sql } from './lookups/sql.ts'
