/**
 * The logger that everything in the host and every plugin writes to.
 *
 * Only the shape: pino stands behind it in the daemon, an array in tests. Peers' bytes go into fields as
 * they are; whoever prints them makes controls and escapes harmless.
 */
export interface Logger {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
  /** A logger that adds these fields to every line. */
  child(fields: object): Logger
}

/** Says nothing. */
export const silent: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silent,
}
