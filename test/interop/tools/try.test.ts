// The command `milterhost try`, as a user runs it: through the chain of a configuration with a plugin and external milters, and
// against OpenDKIM alone.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { dkimOf, letter } from '../chain/letter.ts'
import { requirePrograms, run, startMilter, tempDir } from '../harness/index.ts'

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
const plugin = fileURLToPath(new URL('./plugin.ts', import.meta.url))

const milterhost = (args: string[], input = ''): Promise<string> => run(process.execPath, [main, ...args], input)

/** What `try --json` says, as far as it is looked at here. */
interface Transcript {
  outcome: string
  steps: { stage: string; filters: { filter: string; verdict: string; edits: string[] }[] }[]
}

requirePrograms('opendkim')('try --socket', () => {
  test.for(['2', '6'])(
    'has OpenDKIM sign a message with protocol version %s, and the signature holds',
    async version => {
      const [signer, verifier] = [await startMilter('opendkim-sign', 'inet'), await startMilter('opendkim-verify')]
      const [, host, port] = signer.address.split(':')
      const message = letter('try me')
      const args = ['try', '-', '--socket', `inet:${port}@${host}`, '--protocol', version, '--raw']
      const signed = await milterhost(args, message)
      expect(signed).toMatch(/^DKIM-Signature: v=1;.* d=example\.com;/s)
      expect(signed).toContain(message)
      expect(await dkimOf(verifier, { raw: Buffer.from(signed, 'latin1') })).toEqual(['pass'])
      await signer.stop()
      await verifier.stop()
    },
  )

  test('says what a milter did, and fails with its refusal', async () => {
    const verifier = await startMilter('opendkim-verify')
    const said = await milterhost(['try', '-', '--socket', verifier.address], letter('unsigned'))
    expect(said).toMatch(/^RCPT TO:<bob@example\.net>$/m)
    expect(said).toMatch(/insert header at \d+ Authentication-Results: mx\.rig\.example; dkim=none/)
    expect(said).toMatch(/^Outcome: accept$/m)
    await verifier.stop()
    await expect(milterhost(['try', '-', '--socket', verifier.address], letter('nobody'))).rejects.toThrow(
      /exit 1\n.*FAILED \(MILTER_\w+\), so tempfail.*Outcome: tempfail by milter/s,
    )
  })
})

requirePrograms('opendkim', 'pymilter')('try', () => {
  test('plays a message through the chain of a configuration', async () => {
    const [signer, editor] = [await startMilter('opendkim-sign'), await startMilter('pymilter')]
    const config = join(tempDir('try'), 'milterhost.config.ts')
    writeFileSync(
      config,
      `import { defineConfig, socket } from 'milterhost'
       import { tool } from ${JSON.stringify(plugin)}
       export default defineConfig({
         filters: [tool(), socket('opendkim', '${signer.address}'), socket('pymilter', '${editor.address}')],
       })`,
    )
    const message = letter('edit me', 'Hello\r\n', ['X-Old: one', 'X-Milter-Do: chgheader X-New 1 by pymilter'])
    const args = ['try', '-', '--config', config, '--to', 'bob@example.net', '--to', 'reject@example.net']
    const said = await milterhost(args, message)
    for (const line of [
      '-Subject: edit me',
      '+Subject: edited',
      '+X-Tool: on top',
      '-X-Old: one',
      '-Hello',
      '+Goodbye',
      '+X-New: by pymilter',
      '+X-Rig-Milter: pymilter',
    ])
      expect(said.split('\n')).toContain(line)
    expect(said).toMatch(/^\+DKIM-Signature: v=1;/m)
    expect(said).toMatch(/^Recipients: <?carol@example\.net>?$/m)

    const { outcome, steps } = JSON.parse(await milterhost([...args, '--json'], message)) as Transcript
    expect(outcome).toBe('accept')
    expect(steps.map(({ stage }) => stage)).toEqual(['connect', 'helo', 'mail', 'rcpt', 'rcpt', 'data', 'message'])
    const atEnd = steps.at(-1)!.filters
    expect(atEnd.map(({ filter, verdict }) => `${filter}: ${verdict}`)).toEqual([
      'tool: continue',
      expect.stringMatching(/^opendkim: (continue|accept)$/),
      'pymilter: continue',
    ])
    expect(atEnd[0]!.edits).toContain('replace body, 9 bytes')
    await expect(milterhost([...args, '--to', 'bob@example.net'], letter('refuse me'))).rejects.toThrow(
      /exit 1\n.*554 5\.7\.1 Not this.*Outcome: reject by tool/s,
    )
  })
})
