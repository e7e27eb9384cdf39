/** Scenarios played in this process: what each step does to the real chain, and every way an expectation fails. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { definePlugin, discard, quarantine, reject, tempfail } from '../../../src/plugin.ts'
import { inProcess } from '../../../src/testing/scenario/in-process.ts'
import { parseScenarios } from '../../../src/testing/scenario/parse.ts'
import { playScenario } from '../../../src/testing/scenario/play.ts'
import { readScenarios, runScenario, type TestOptions, testPlugin } from '../../../src/testing.ts'

/** Says to each recipient what its local part asks for, and edits what the subject asks for. */
const obedient = definePlugin({
  name: 'obedient',
  setup: host => ({
    async rcpt(event) {
      switch (event.recipient.address.split('@')[0]) {
        case 'no':
          return reject('No such user', { code: 550, enhanced: '5.1.1' })
        case 'later':
          return tempfail('Come again')
        case 'gone':
          return discard
        case 'hold':
          return (await event.hold(60)) === 'waited' ? undefined : tempfail('Not waited')
        case 'name':
          return (await host.dns.ptr(event.client.address))[0] === 'mx.example.org' ? undefined : reject('Who are you')
        case 'never':
          await new Promise(resolve => event.signal.addEventListener('abort', resolve))
          return
      }
    },
    end(event) {
      const subject = event.header('subject')?.value.trim() ?? ''
      if (subject === 'keep') return quarantine('looks odd')
      if (subject === 'edit') {
        event.edit.prependHeader('X-Mark', 'one\n two')
        event.edit.replaceBody('other\r\n')
        event.edit.sender('new@example.net')
        event.edit.addRecipient('more@example.com')
      }
    },
  }),
})

const start = (options: TestOptions) => testPlugin(obedient(), options)

async function play(text: string): Promise<{ failures: string[]; unseen: number }> {
  const [scenario] = parseScenarios(text, 's')
  const { failures, unseen } = await playScenario(scenario!, await inProcess(scenario!, start))
  return { failures: failures.map(({ line, message }) => `${line}: ${message}`), unseen: unseen.length }
}

const passes: [string, string][] = [
  [
    'a refusal with code, enhanced code and text',
    'RCPT <no@example.com>\nEXPECT reject 550 5.1.1 "No such"\nEXPECT by obedient\n',
  ],
  [
    'a temporary one by pattern',
    'RCPT <later@example.com>\nEXPECT tempfail /come\\s/i\nEXPECT filter obedient tempfail\n',
  ],
  [
    'a message that is taken as it is',
    'HEADER Subject: a\nBODY hello\nEND\nEXPECT accept\nEXPECT unchanged\nEXPECT header Subject: a\n',
  ],
  ['a discarded one', 'RCPT <gone@example.com>\nEXPECT discard\n'],
  ['a quarantined one with its reason', 'HEADER Subject: keep\nEND\nEXPECT quarantine "looks odd"\n'],
  [
    'edits of every kind',
    'MAIL <a@example.net>\nRCPT <b@example.com>\nHEADER Subject: edit\nBODY text\nEND\nEXPECT accept\nEXPECT header X-Mark: one two\nEXPECT no header X-Other\nEXPECT body <<EOF\nother\nEOF\nEXPECT no body text\nEXPECT sender <new@example.net>\nEXPECT recipient <more@example.com>\nEXPECT recipient <b@example.com>\nEXPECT no recipient <c@example.com>\n',
  ],
  ['time that a filter makes the client wait', 'RCPT <hold@example.com>\nWAIT 59s\nWAIT 1s\nEXPECT accept\n'],
  ['a client that leaves while it waits', 'RCPT <hold@example.com>\nWAIT 5s\nDISCONNECT\nEXPECT client-left\n'],
  [
    'a filter that never answers',
    'RCPT <never@example.com>\nTIMEOUT\nEXPECT tempfail 451\nEXPECT filter obedient failed\n',
  ],
  [
    'DNS of its own',
    'DNS <<EOF\n7.2.0.192.in-addr.arpa. 60 IN PTR mx.example.org.\nEOF\nCONNECT 192.0.2.7\nRCPT <name@example.com>\nEXPECT accept\n',
  ],
  [
    'several messages of one connection',
    'RCPT <no@example.com>\nEXPECT reject\nRSET\nMAIL <>\nRCPT <b@example.com>\nEND\nEXPECT accept\nMAIL <c@example.net>\nRCPT <later@example.com>\nEXPECT tempfail\n',
  ],
  [
    'several connections',
    'CONNECT 192.0.2.1\nEXPECT accept\nCONNECT 192.0.2.2\nRCPT <b@example.com>\nEND\nEXPECT accept\nDISCONNECT\nCONNECT\nQUIT\n',
  ],
  [
    'a refused recipient beside one that is taken',
    'RCPT <no@example.com>\nEXPECT reject\nRCPT <b@example.com>\nMESSAGE <<EOF\nSubject: x\n\ny\nEOF\nEXPECT accept\nEXPECT no recipient <no@example.com>\n',
  ],
]

test.each(passes)('%s', async (_, text) => {
  expect(await play(text)).toEqual({ failures: [], unseen: 0 })
})

const fails: [string, string][] = [
  ['RCPT <no@example.com>\nEXPECT accept\n', '2: answered reject 550 5.1.1 No such user, not accept'],
  ['RCPT <b@example.com>\nEXPECT reject\n', '2: answered accept, not reject'],
  ['RCPT <no@example.com>\nEXPECT reject 551\n', '2: answered reject 550 5.1.1 No such user, not with 551'],
  ['RCPT <no@example.com>\nEXPECT reject 5.7.1\n', '2: answered reject 550 5.1.1 No such user, not with 5.7.1'],
  ['RCPT <no@example.com>\nEXPECT reject nobody\n', '2: answered reject 550 5.1.1 No such user, not "nobody"'],
  ['RCPT <no@example.com>\nEXPECT by nobody\nEXPECT reject\n', '2: decided by obedient, not by nobody'],
  [
    'RCPT <no@example.com>\nDATA\n',
    '1: RCPT <no@example.com> was answered reject 550 5.1.1 No such user, and nothing was expected of it',
  ],
  ['RCPT <gone@example.com>\nEXPECT accept\n', '2: answered discard, not accept'],
  ['HEADER Subject: keep\nEND\nEXPECT accept\n', '3: answered as accepted, but the message ended with quarantine'],
  ['HEADER Subject: keep\nEND\nEXPECT quarantine other\n', '3: quarantined for "looks odd", not "other"'],
  ['END\nEXPECT discard\n', '2: the message ended with accept, not with discard'],
  ['END\nEXPECT header X-Mark\n', '2: there is no X-Mark'],
  [
    'HEADER Subject: a\nEND\nEXPECT header Subject: b\nEXPECT no header Subject\n',
    '3: Subject is "a", not "b"|4: Subject is "a", and should not be',
  ],
  [
    'BODY a\nEND\nEXPECT body b\nEXPECT no body /A/i\n',
    '3: the body is "a\\n", not "b"|4: the body is "a\\n", and should not have /A/i',
  ],
  [
    'END\nEXPECT sender <x@y.z>\nEXPECT recipient <x@y.z>\n',
    '2: the sender is <sender@example.net>, not <x@y.z>|3: the recipients are <recipient@example.com>; missing: <x@y.z>',
  ],
  ['HEADER Subject: edit\nEND\nEXPECT unchanged\n', '3: the header fields are "X-Mark: one two\\nSubject: edit"'],
  ['RCPT <no@example.com>\nEXPECT reject\nEXPECT header Subject\n', '3: no message was kept'],
  [
    'RCPT <hold@example.com>\nEXPECT accept\n',
    '2: RCPT <hold@example.com> is not answered while time stands still; put WAIT or TIMEOUT before',
  ],
  ['RCPT <b@example.com>\nDISCONNECT\nEXPECT accept\n', '3: the message ended with client-left, not with accept'],
  ['DISCONNECT\nHELO a\n', '2: the client has gone; CONNECT begins another connection'],
  ['TIMEOUT\n', '1: TIMEOUT waits for an answer, and none is awaited'],
  ['RCPT <b@example.com>\nEXPECT filter other accept\n', '2: filter other was not asked'],
  [
    'RCPT <later@example.com>\nEXPECT filter obedient reject\nEXPECT tempfail\n',
    '2: filter obedient answered tempfail, not reject',
  ],
]

test.each(fails)('%j fails', async (text, message) => {
  expect((await play(text)).failures.join('|')).toBe(message)
})

test('a file is read and a failure told with title, file and line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'milterhost-scenario-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'a.scenario')
  writeFileSync(file, 'SCENARIO good\nHELO a\nSCENARIO bad one\nRCPT <no@example.com>\nEXPECT accept\n')
  const [good, bad] = readScenarios(file)
  await runScenario(good!, start)
  await expect(runScenario(bad!, start)).rejects.toThrow(
    `scenario bad one failed:\n  ${file}:5: answered reject 550 5.1.1 No such user, not accept`,
  )
  expect(() => readScenarios(join(folder, 'none'))).toThrow(/none cannot be read/)
})
