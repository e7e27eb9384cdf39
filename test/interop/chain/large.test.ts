// A message of 20 MB, of which a plugin makes another one while it goes by: signed by OpenDKIM behind it, delivered whole.

import { socket } from 'milterhost'
import { definePlugin } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import { requirePrograms, smtp, startMilter, startPostfix, startSendmail } from '../harness/index.ts'
import { arrived, bySubject, dkimOf, letter } from './letter.ts'
import { sha256, witness } from './witness.ts'

const LINE = `${'0123456789'.repeat(7)}\r\n`
const LINES = Math.ceil((20 * 1024 * 1024) / LINE.length)

/** Turns every 0 into an o. */
const rewriter = definePlugin({
  name: 'rewriter',
  setup: () => ({
    end(event) {
      event.edit.replaceBody(rewritten(event.body()))
    },
  }),
})

async function* rewritten(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body)
    yield Buffer.from(Buffer.from(chunk).toString('latin1').replaceAll('0', 'o'), 'latin1')
}

const starters = { postfix: startPostfix, sendmail: startSendmail }

for (const kind of ['postfix', 'sendmail'] as const) {
  requirePrograms(kind, 'opendkim')(`20 MB behind ${kind}`, () => {
    test('are rewritten by a plugin, signed as rewritten, and delivered to the byte', async () => {
      const [signer, verifier] = [await startMilter('opendkim-sign'), await startMilter('opendkim-verify')]
      const after = witness('X-After')
      const host = await startHost({ filters: [rewriter(), socket('opendkim', signer.address), after.entry] })
      const mta = await starters[kind]({ milters: [host.address] })
      const client = await smtp(mta.port)
      const data = letter('large', LINE.repeat(LINES))
      expect((await client.mail({ from: 'alice@example.com', to: 'bob@example.net', data })).end?.code).toBe(250)
      await client.quit()
      const delivery = bySubject(await mta.waitForDeliveries(1), 'large')
      const { body, all } = arrived(delivery)
      const expected = sha256(LINE.replaceAll('0', 'o').repeat(LINES))
      expect(sha256(body)).toBe(expected)
      expect(after.of('large').body).toBe(expected)
      expect(all('X-After')).toEqual([`${after.of('large').id} ${expected}`])
      expect(await dkimOf(verifier, delivery)).toEqual(['pass'])
    })
  })
}
