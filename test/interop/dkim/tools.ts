// The other implementations of DKIM, as programs: OpenDKIM's library by opendkim-testmsg, dkimpy by a script of the rig.

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onCleanup, rig, rigPath, run, tempDir } from '../harness/index.ts'

export type Zone = Readonly<Record<string, string>>

export type Job =
  | { readonly do: 'verify' | 'arc'; readonly message: string; readonly txt: Zone }
  | {
      readonly do: 'sign'
      readonly message: string
      readonly domain: string
      readonly selector: string
      readonly key: string
      readonly ed25519?: boolean
      readonly c: readonly [string, string]
    }

/** All jobs in one process, which takes a second to start. */
export async function dkimpy(jobs: readonly Job[]): Promise<unknown[]> {
  const coded = jobs.map(job => ({ ...job, message: Buffer.from(job.message, 'latin1').toString('base64') }))
  return JSON.parse(await run('/usr/bin/python3', [rigPath('lib/dkimpy.py')], JSON.stringify(coded))) as unknown[]
}

export interface OpenDkim {
  /** `null`, or what it says is wrong. */
  verify(message: string): Promise<string | null>
  /** The message with its signature. */
  sign(
    message: string,
    key: { readonly domain: string; readonly selector: string; readonly pem: string },
  ): Promise<string>
}

/** OpenDKIM's library with this zone for its DNS. */
export async function opendkim(zone: Zone): Promise<OpenDkim> {
  const dir = tempDir('opendkim-testmsg')
  const file = join(dir, 'zone.txt')
  const records = Object.entries(zone).map(
    ([name, text]) =>
      `${name}. 60 TXT ${(text.match(/.{1,200}/g) ?? []).map(part => JSON.stringify(part)).join(' ')}\n`,
  )
  writeFileSync(file, records.join(''))
  // An address of this process's own: port 53 is the only one that resolv.conf knows.
  const address = `127.${53 + (process.pid % 150)}.${(process.pid >> 8) % 250}.53`
  await rig('dns-up', dir, address, '53', file)
  onCleanup(async () => {
    await rig('dns-down', dir)
  })
  const testmsg = (args: string[], message: string): Promise<string> =>
    run(
      rigPath('bin/with-resolv'),
      [address, '/usr/sbin/opendkim-testmsg', '-t', dir, ...args],
      Buffer.from(message, 'latin1'),
    )
  return {
    verify: message =>
      testmsg([], message).then(
        said => said.trim() || null,
        (error: Error) => error.message,
      ),
    async sign(message, { domain, selector, pem }) {
      const key = join(dir, 'key.pem')
      writeFileSync(key, pem)
      chmodSync(key, 0o600)
      return testmsg(['-C', '-d', domain, '-s', selector, '-k', key], message)
    },
  }
}

export const readRig = (name: string): string => readFileSync(rigPath(name), 'latin1')
