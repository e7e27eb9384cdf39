/** The text form of scenarios: what it reads, what it refuses and where, and that writing it reads back the same. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseScenarios } from '../../../src/testing/scenario/parse.ts'
import type { Expectation, Scenario, ScenarioEdit, ScenarioStep } from '../../../src/testing/scenario/scenario.ts'
import { scenarioText } from '../../../src/testing/scenario/write.ts'

const stepsOf = (text: string): readonly ScenarioStep[] => parseScenarios(text, 'a.scenario')[0]!.steps
const complaint = (text: string): string => {
  try {
    parseScenarios(text, 'a.scenario')
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

test('a whole conversation is read, each step with its line', () => {
  const [scenario, ...more] = parseScenarios(
    `# about greylisting
SCENARIO a new triplet is deferred
CLOCK 2026-05-01T12:00:00Z
MTA postfix
DNS <<EOF
example.org. 60 IN A 192.0.2.1
EOF

CONNECT 192.0.2.7 mx.example.org auth=alice tls=TLSv1.2 port=4711 {daemon_name}=mx
HELO mx.example.org
MAIL <a@example.org> SIZE=100
RCPT <b@example.com>
EXPECT tempfail 451 4.7.1 "Greylisted"
WAIT 5m
RCPT <b@example.com>
DATA
HEADER Subject: hello there
HEADER X-Folded: "one\\n two"
BODY hello "there"
BODY <<EOF
# no comment here
EOF
END
EXPECT accept
DISCONNECT
`,
    'a.scenario',
  )
  expect(more).toEqual([])
  expect(scenario).toMatchObject({
    title: 'a new triplet is deferred',
    line: 2,
    clock: '2026-05-01T12:00:00Z',
    mta: 'postfix',
    dns: 'example.org. 60 IN A 192.0.2.1\n',
  })
  const verdict = { kind: 'verdict', verdict: 'tempfail', code: 451, enhanced: '4.7.1', text: 'Greylisted' }
  expect(scenario!.steps).toEqual([
    {
      line: 9,
      kind: 'connect',
      client: {
        address: '192.0.2.7',
        hostname: 'mx.example.org',
        auth: { user: 'alice' },
        tls: { version: 'TLSv1.2' },
        port: 4711,
        macros: { daemon_name: 'mx' },
      },
    },
    { line: 10, kind: 'helo', name: 'mx.example.org' },
    { line: 11, kind: 'mail', address: 'a@example.org', args: ['SIZE=100'] },
    { line: 12, kind: 'rcpt', address: 'b@example.com', args: [] },
    { line: 13, kind: 'expect', expectation: verdict },
    { line: 14, kind: 'wait', milliseconds: 300_000 },
    { line: 15, kind: 'rcpt', address: 'b@example.com', args: [] },
    { line: 16, kind: 'data' },
    { line: 17, kind: 'header', name: 'Subject', value: 'hello there' },
    { line: 18, kind: 'header', name: 'X-Folded', value: 'one\n two' },
    { line: 19, kind: 'body', text: 'hello "there"\n' },
    { line: 20, kind: 'body', text: '# no comment here\n' },
    { line: 23, kind: 'end' },
    {
      line: 24,
      kind: 'expect',
      expectation: { ...verdict, verdict: 'accept', code: null, enhanced: null, text: null },
    },
    { line: 25, kind: 'disconnect' },
  ])
})

test('a file without SCENARIO is one scenario, named by the file', () => {
  expect(parseScenarios('HELO a\n', 'cases/first.scenario')).toMatchObject([{ title: 'first.scenario' }])
})

test('MESSAGE is a whole message and its end', () => {
  expect(stepsOf('MESSAGE <<EOF\nSubject: a\n b\nTo: c\n\nfirst\n\nlast\nEOF\n')).toMatchObject([
    { kind: 'header', name: 'Subject', value: 'a\n b' },
    { kind: 'header', name: 'To', value: 'c' },
    { kind: 'body', text: 'first\n\nlast\n' },
    { kind: 'end' },
  ])
  expect(stepsOf('MESSAGE <<EOF\nSubject: a\nEOF\n')).toMatchObject([{ kind: 'header' }, { kind: 'end' }])
})

const expected: [string, Partial<Expectation>][] = [
  ['continue', { kind: 'verdict', verdict: 'accept' }],
  ['reject 550', { verdict: 'reject', code: 550, enhanced: null, text: null } as Partial<Expectation>],
  [
    'reject 5.7.1 /not\\s+here/i',
    { verdict: 'reject', code: null, enhanced: '5.7.1', text: /not\s+here/i } as Partial<Expectation>,
  ],
  ['tempfail try again later', { verdict: 'tempfail', text: 'try again later' } as Partial<Expectation>],
  ['quarantine "a virus"', { verdict: 'quarantine', text: 'a virus' } as Partial<Expectation>],
  ['client-left', { verdict: 'client-left' } as Partial<Expectation>],
  ['header Subject', { kind: 'header', name: 'Subject', value: null, absent: false }],
  ['header Subject: a b', { kind: 'header', name: 'Subject', value: 'a b', absent: false }],
  ['no header X-Spam: /yes/', { kind: 'header', name: 'X-Spam', value: /yes/, absent: true }],
  ['body "part"', { kind: 'body', text: 'part', whole: false, absent: false }],
  ['sender <>', { kind: 'sender', address: '' }],
  ['recipient <b@example.com>', { kind: 'recipient', address: 'b@example.com', absent: false }],
  ['no recipient <b@example.com>', { kind: 'recipient', absent: true }],
  ['unchanged', { kind: 'unchanged' }],
  ['by greylist', { kind: 'by', filter: 'greylist' }],
  [
    'filter spf reject 550 "no"',
    { kind: 'filter', filter: 'spf', verdict: 'reject', code: 550, text: 'no' } as Partial<Expectation>,
  ],
  [
    'edit tag changeHeader 1 Subject " x"',
    { edit: { kind: 'changeHeader', occurrence: 1, name: 'Subject', value: ' x' } } as Partial<Expectation>,
  ],
  ['filter spf failed', { kind: 'filter', filter: 'spf', verdict: 'failed' }],
]

test.each(expected)('EXPECT %s', (text, expectation) => {
  expect(stepsOf(`RCPT <a@b.c>\nEXPECT ${text}\n`)[1]).toMatchObject({ kind: 'expect', expectation })
})

test('EXPECT body with a block is the whole body', () => {
  expect(stepsOf('END\nEXPECT body <<EOF\none\ntwo\nEOF\n')[1]).toMatchObject({
    expectation: { kind: 'body', text: 'one\ntwo\n', whole: true },
  })
})

const bad: [string, string][] = [
  ['RCTP <a@b.c>', 'a.scenario:1: RCTP is no command; did you mean "RCPT"?'],
  ['RCPT a@b.c', 'a.scenario:1: RCPT needs an address in angle brackets'],
  ['MAIL', 'a.scenario:1: MAIL needs an address in angle brackets'],
  ['HELO', 'a.scenario:1: HELO needs a name'],
  ['HELO "a', 'a.scenario:1: a quote is not closed'],
  ['DATA now', 'a.scenario:1: DATA stands alone'],
  ['EXPECT accept', 'a.scenario:1: EXPECT follows a step that is answered'],
  ['HEADER A: b\nEXPECT accept', 'a.scenario:2: EXPECT comes before the message ended; put END before it'],
  ['BODY a\nRCPT <a@b.c>', 'a.scenario:2: RCPT comes before the message ended; put END before it'],
  ['BODY a\nHEADER A: b', 'a.scenario:2: HEADER comes after BODY'],
  ['HELO a\nBODY b', 'a.scenario:2: the message has no END'],
  ['HEADER nothing', 'a.scenario:1: a header field is NAME: VALUE, not "nothing"'],
  ['HELO a\nCLOCK 2026-01-01', 'a.scenario:2: CLOCK stands before the first step'],
  ['CLOCK soon\nHELO a', 'a.scenario:1: soon is no time such as 2026-01-01T00:00:00Z'],
  ['MTA exim\nHELO a', 'a.scenario:1: MTA is postfix or sendmail'],
  ['WAIT long', 'a.scenario:1: WAIT must be a length of time such as "30s", "5m" or a number of seconds, not "long"'],
  ['BODY <<EOF\nhello', 'a.scenario:1: the block <<EOF has no line EOF that ends it'],
  ['RCPT <a@b.c>\nEXPECT rejct', 'a.scenario:2: rejct cannot be expected; did you mean "reject"?'],
  ['RCPT <a@b.c>\nEXPECT reject 700', 'a.scenario:2: 700 is no SMTP reply code'],
  ['RCPT <a@b.c>\nEXPECT reject /(/', 'a.scenario:2: Invalid regular expression: /(/: Unterminated group'],
  ['RCPT <a@b.c>\nEXPECT sender a@b.c', 'a.scenario:2: an address stands in angle brackets: <a@example.com>'],
  ['FILLER many', 'a.scenario:1: FILLER needs the bytes and the lines of a body: FILLER 5120 64'],
  ['MACROS later i=1', 'a.scenario:1: MACROS needs a stage: connect, helo, mail, rcpt, data, eoh, eom'],
  ['MACROS mail i', 'a.scenario:1: i is not NAME=VALUE'],
  ['END\nEXPECT edit tag removeHeader 1', 'a.scenario:2: removeHeader needs occurrence, name'],
  ['END\nEXPECT edit tag removeHeader a b', 'a.scenario:2: occurrence is a number, not a'],
  ['CONNECT a b c', 'a.scenario:1: CONNECT takes an address and a name; c is too much'],
  ['CONNECT 192.0.2.1 port=65536', 'a.scenario:1: 65536 is no port'],
  ['SCENARIO', 'a.scenario:1: SCENARIO needs a title'],
  ['SCENARIO nothing\nSCENARIO more\nHELO a', 'a.scenario:1: nothing does nothing'],
]

test.each(bad)('%j is refused with its line', (text, message) => {
  expect(complaint(text)).toBe(message)
})

test('an empty file has no scenario', () => {
  expect(parseScenarios('# nothing\n\n')).toEqual([])
})

/** Any edit, in the form of a scenario. */
const edit = (token: fc.Arbitrary<string>, text: fc.Arbitrary<string>): fc.Arbitrary<ScenarioEdit> => {
  const number = fc.nat()
  return fc.oneof(
    fc.record({ kind: fc.constant('addHeader' as const), name: token, value: text }),
    fc.record({ kind: fc.constant('insertHeader' as const), index: number, name: token, value: text }),
    fc.record({ kind: fc.constant('changeHeader' as const), occurrence: number, name: token, value: text }),
    fc.record({ kind: fc.constant('removeHeader' as const), occurrence: number, name: token }),
    fc.record({ kind: fc.constant('replaceBody' as const), bytes: number }),
    fc.record({ kind: fc.constantFrom('addRecipient' as const, 'changeSender' as const), address: text, args: text }),
    fc.record({ kind: fc.constant('removeRecipient' as const), address: text }),
    fc.record({ kind: fc.constant('quarantine' as const), reason: text }),
  )
}

test('whatever is written is read back the same', () => {
  const token = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9.-]{0,12}$/)
  const text = fc.string({
    unit: fc.constantFrom('a', 'B', ' ', '"', '\\', '\n', '\t', '\r', '\0', '/', '<', '>', 'é', '#', '='),
  })
  const wanted = fc.oneof(
    text.filter(value => value !== ''),
    fc.constant(/a\/b "c"/i),
  )
  const address = fc.constantFrom('', 'a@example.com', '"odd"@x.example', '"o >d"@x.example', 'ü@ü.example')
  const verdict: fc.Arbitrary<Expectation> = fc.record<Extract<Expectation, { kind: 'verdict' }>>({
    kind: fc.constant('verdict' as const),
    verdict: fc.constantFrom('accept', 'reject', 'tempfail', 'discard', 'quarantine', 'client-left', 'aborted'),
    code: fc.option(fc.integer({ min: 200, max: 599 })),
    enhanced: fc.option(fc.constantFrom('4.7.1', '5.1.10')),
    text: fc.option(wanted),
  })
  const absent = fc.boolean()
  const expectation: fc.Arbitrary<Expectation> = fc.oneof(
    verdict,
    fc.record({ kind: fc.constant('header' as const), name: token, value: fc.option(wanted), absent }),
    fc.record({ kind: fc.constant('body' as const), text: wanted, whole: fc.constant(false), absent }),
    fc.record({ kind: fc.constant('sender' as const), address }),
    fc.record({ kind: fc.constant('recipient' as const), address, absent }),
    fc.constant({ kind: 'unchanged' as const }),
    fc.record({ kind: fc.constant('by' as const), filter: token }),
    fc.record({
      kind: fc.constant('filter' as const),
      filter: token,
      verdict: fc.constantFrom('accept' as const, 'continue' as const, 'failed' as const),
      code: fc.constant(null),
      enhanced: fc.constant(null),
      text: fc.constant(null),
    }),
    verdict.map(said => ({
      ...(said as Extract<Expectation, { kind: 'verdict' }>),
      kind: 'filter' as const,
      filter: 'spf',
    })),
    fc.record({ kind: fc.constant('edit' as const), filter: token, edit: edit(token, text) }),
  )
  const line = fc.constant(0)
  const step: fc.Arbitrary<ScenarioStep> = fc.oneof(
    fc.record({ line, kind: fc.constant('helo' as const), name: text.filter(value => value !== '') }),
    fc.record({
      line,
      kind: fc.constantFrom('mail' as const, 'rcpt' as const),
      address,
      args: fc.array(text, { maxLength: 2 }),
    }),
    fc.record({
      line,
      kind: fc.constant('macros' as const),
      stage: fc.constantFrom('connect' as const, 'eom' as const),
      values: fc.dictionary(token, text, { maxKeys: 2 }),
    }),
    fc.record({ line, kind: fc.constant('wait' as const), milliseconds: fc.integer({ min: 1, max: 1e9 }) }),
    fc.constant({
      line: 0,
      kind: 'connect' as const,
      client: { address: '2001:db8::1', hostname: null, macros: { j: 'a b' } },
    }),
    fc.record({
      line,
      kind: fc.constantFrom('data' as const, 'reset' as const, 'disconnect' as const, 'timeout' as const),
    }),
  )
  const answered = step.chain(one =>
    one.kind === 'macros'
      ? fc.constant<ScenarioStep[]>([one])
      : fc
          .array(expectation, { maxLength: 2 })
          .map((list): ScenarioStep[] => [
            one,
            ...list.map(expectation => ({ line: 0, kind: 'expect' as const, expectation })),
          ]),
  )
  const content = fc
    .tuple(
      fc.array(fc.tuple(token, text), { maxLength: 3 }),
      fc.array(
        text.map(piece => `${piece}\n`),
        { maxLength: 3 },
      ),
    )
    .map(([fields, pieces]): ScenarioStep[] => [
      ...fields.map(([name, value]) => ({ line: 0, kind: 'header' as const, name, value })),
      ...pieces.map(piece => ({ line: 0, kind: 'body' as const, text: piece })),
      { line: 0, kind: 'filler', bytes: fields.length, lines: pieces.length },
      { line: 0, kind: 'end' },
    ])
  const steps = fc.array(fc.oneof(answered, content), { minLength: 1, maxLength: 6 }).map(groups => groups.flat())
  fc.assert(
    fc.property(steps, steps => {
      const scenario: Scenario = {
        title: 'a b',
        file: 'x',
        line: 1,
        clock: null,
        dns: 'a. 1 IN A 1.2.3.4\n',
        mta: 'sendmail',
        steps,
      }
      const [read] = parseScenarios(scenarioText(scenario), 'x')
      const without = (list: readonly ScenarioStep[]) =>
        list.filter(({ kind }) => !(kind === 'expect')).map(step => ({ ...step, line: 0 }))
      expect(without(read!.steps)).toEqual(without(steps))
      const expectations = (list: readonly ScenarioStep[]) =>
        list.flatMap(step => (step.kind === 'expect' ? [step.expectation] : []))
      expect(expectations(read!.steps)).toEqual(expectations(steps))
    }),
    { numRuns: 500 },
  )
})
