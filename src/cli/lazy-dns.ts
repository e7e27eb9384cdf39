/**
 * A DNS that is made at its first look-up: a command that looks nothing up needs no configuration for it.
 *
 * The configuration is read then, for its name servers; what is wrong with it is what the look-up rejects with.
 */
import type { Dns } from '../host/plugin/services.ts'

export function lazyDns(make: () => Promise<Dns>): Dns {
  let made: Promise<Dns> | null = null
  const dns = (): Promise<Dns> => {
    made ??= make()
    return made
  }
  return {
    a: async (name, signal) => (await dns()).a(name, signal),
    aaaa: async (name, signal) => (await dns()).aaaa(name, signal),
    mx: async (name, signal) => (await dns()).mx(name, signal),
    txt: async (name, signal) => (await dns()).txt(name, signal),
    ptr: async (address, signal) => (await dns()).ptr(address, signal),
    forMessage: signal => lazyDns(async () => (await dns()).forMessage(signal)),
  }
}
