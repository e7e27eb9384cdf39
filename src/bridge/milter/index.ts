/**
 * The side where we are the MTA: external milters as filters of the chain. `socket` is what a configuration calls;
 * nothing behind this face is imported from elsewhere.
 */

export { type SocketOptions, socket } from './entry.ts'
export type { HealthOptions } from './health/options.ts'
