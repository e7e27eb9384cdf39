/**
 * How a look-up fails: an error with one of the codes that `Dns` promises (`host/plugin/services.ts`).
 *
 * Not coded in the host's error table: these errors go to plugins, never to the postmaster as they are.
 */

/** A broken answer is `ESERVFAIL`: whoever asks cannot do anything else about it. */
export type DnsCode =
  | 'ENOTFOUND'
  | 'ENODATA'
  | 'ESERVFAIL'
  | 'EREFUSED'
  | 'ETIMEOUT'
  | 'ECONNREFUSED'
  | 'ECANCELLED'
  | 'EBADNAME'
  | 'EMSGSIZE'

const WORDS: Readonly<Record<DnsCode, string>> = {
  ENOTFOUND: 'there is no such name',
  ENODATA: 'the name has no record of that type',
  ESERVFAIL: 'the name servers could not answer',
  EREFUSED: 'the name servers refused to answer',
  ETIMEOUT: 'no name server answered in time',
  ECONNREFUSED: 'no name server could be reached',
  ECANCELLED: 'the look-up was cancelled',
  EBADNAME: 'this cannot be a name',
  EMSGSIZE: 'a record is longer than is taken',
}

export class DnsError extends Error {
  readonly code: DnsCode
  /** The name that was asked for, as it was given. */
  readonly hostname: string

  constructor(code: DnsCode, type: string, name: string, why: string = WORDS[code]) {
    super(`${type} ${JSON.stringify(name)}: ${why} (${code})`)
    this.name = 'DnsError'
    this.code = code
    this.hostname = name
  }
}

export const isDnsError = (error: unknown): error is DnsError => error instanceof DnsError
