/**
 * Every error that a user can meet: code and message, one table.
 *
 * A message says what is wrong, where, and what to do. `docs/errors.md` has a paragraph for each code; a test keeps the
 * two equal. Wire errors have their own table beside the codec (`bridge/wire/error.ts`), documented on the same page.
 */

const table = {
  // Filters at work
  FILTER_THREW: (filter: string, stage: string, what: string): string => `filter ${filter} failed at ${stage}: ${what}`,
  FILTER_TIMEOUT: (filter: string, stage: string, seconds: number): string =>
    `filter ${filter} did not answer at ${stage} within ${seconds} s`,
  FILTER_BAD_ANSWER: (filter: string, stage: string, what: string): string =>
    `filter ${filter} gave an answer at ${stage} that cannot be used: ${what}`,
  BUDGET_SPENT: (filter: string, stage: string, seconds: number): string =>
    `the chain's ${seconds} s for ${stage} were spent before filter ${filter} had answered`,

  // Limits
  LIMIT_BODY: (limit: number): string => `a message body is larger than limits.body (${limit} bytes)`,
  LIMIT_HEADERS: (limit: number): string => `a message has more header fields than limits.headers (${limit})`,
  LIMIT_HEADER_BYTES: (limit: number): string =>
    `the headers of a message are larger than limits.headerBytes (${limit} bytes)`,
  LIMIT_RECIPIENTS: (limit: number): string => `a message has more recipients than limits.recipients (${limit})`,
  LIMIT_EDITS: (filter: string, limit: number): string =>
    `filter ${filter} sent more edits than limits.edits (${limit})`,
}

export type ErrorCode = keyof typeof table

export class HostError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'HostError'
    this.code = code
  }
}

/** Makes the error of that code, e.g. `hostError('FILTER_TIMEOUT', 'spf', 'rcpt', 30)`. */
export const hostError = <C extends ErrorCode>(code: C, ...values: Parameters<(typeof table)[C]>): HostError =>
  new HostError(code, (table[code] as (...values: unknown[]) => string)(...values))

/** All codes, for the test that compares them with the documentation. */
export const errorCodes = (): ErrorCode[] => Object.keys(table) as ErrorCode[]
