/** Edits of a plugin: what is refused at the call, and what comes out in which order. */
import { expect, test } from 'vitest'
import { applyEdits } from '../../../src/host/message/apply.ts'
import { AT_END, type Edit } from '../../../src/host/message/edit.ts'
import type { MessageSnapshot } from '../../../src/host/message/snapshot.ts'
import { type EndEvent, quarantine, reject } from '../../../src/plugin.ts'
import { type Conversation, converse, failureOf, snapshot, withHooks } from './harness.ts'

const fields = [
  ['Received', ' one'],
  ['X-A', ' 1'],
  ['Subject', ' hello'],
  ['x-a', ' 2'],
  ['X-A', ' 3'],
] as const
const message = snapshot({ fields, body: ['old\r\n'] })

const editsOf = async (end: (event: EndEvent) => unknown, shown: MessageSnapshot = message): Promise<readonly Edit[]> =>
  (await (await converse(withHooks({ end } as never))).deliver(shown)).edits

const bodyText = (edits: readonly Edit[]): string | undefined => {
  const edit = edits.find(it => it.kind === 'replaceBody')
  return edit?.kind === 'replaceBody' ? Buffer.concat(edit.body.memory ?? []).toString('latin1') : undefined
}

test('changes and removals come first, counted on the message as shown, then what is inserted', async () => {
  expect(
    await editsOf(event => {
      const [first, second, third] = event.headerAll('X-A')
      event.edit.prependHeader('X-Top', 'lower')
      event.edit.appendHeader('X-End', 'first')
      event.edit.removeHeader(first!)
      event.edit.replaceHeader(third!, 'new')
      event.edit.removeHeader(second!)
      event.edit.prependHeader('X-Top', 'upper')
      event.edit.appendHeader('X-End', 'second')
    }),
  ).toEqual([
    { kind: 'removeHeader', name: 'X-A', occurrence: 1 },
    { kind: 'changeHeader', name: 'X-A', occurrence: 3, value: ' new' },
    { kind: 'removeHeader', name: 'x-a', occurrence: 2 },
    { kind: 'insertHeader', index: 0, name: 'X-Top', value: ' lower' },
    { kind: 'insertHeader', index: 0, name: 'X-Top', value: ' upper' },
    { kind: 'insertHeader', index: AT_END, name: 'X-End', value: ' first' },
    { kind: 'insertHeader', index: AT_END, name: 'X-End', value: ' second' },
  ])
})

test('applied to the message they mean what was said, in whatever order it was said', async () => {
  const edits = await editsOf(event => {
    const [first, second, third] = event.headerAll('X-A')
    event.edit.prependHeader('X-Top', 'lower')
    event.edit.removeHeader(first!)
    event.edit.replaceHeader(third!, 'new')
    event.edit.removeHeader(second!)
    event.edit.prependHeader('X-Top', 'upper')
    event.edit.appendHeader('Subject', 'another')
  })
  expect(applied(edits).headers.map(({ name, value }) => `${name}:${value}`)).toEqual([
    'X-Top: upper',
    'X-Top: lower',
    'Received: one',
    'Subject: hello',
    'X-A: new',
    'Subject: another',
  ])
})

const applied = (edits: readonly Edit[]): MessageSnapshot => applyEdits(message, edits, 'sendmail').message

test('of several changes to one field the last counts', async () => {
  const edits = await editsOf(event => {
    const field = event.header('subject')!
    event.edit.removeHeader(field)
    event.edit.replaceHeader(field, 'one')
    event.edit.replaceHeader(field, 'two')
  })
  expect(edits).toEqual([{ kind: 'changeHeader', name: 'Subject', occurrence: 1, value: ' two' }])
})

test('a field seen by an earlier hook of the message can be changed at its end', async () => {
  let kept: EndEvent['headers'][number] | undefined
  const conversation = await converse(
    withHooks({
      headers(event) {
        kept = event.header('subject')
      },
      end: event => event.edit.removeHeader(kept!),
    }),
  )
  expect((await conversation.deliver(message)).edits).toMatchObject([{ kind: 'removeHeader', name: 'Subject' }])
})

test('text is sent as UTF-8 and bytes as they are', async () => {
  const edits = await editsOf(({ edit }) => {
    edit.appendHeader('X-Text', 'ü')
    edit.appendHeader('X-Bytes', Uint8Array.of(0x20, 0x09, 0xfc))
    edit.appendHeader('X-Fold', 'a;\n b')
    edit.appendHeader('X-Long', 'x'.repeat(5000))
    edit.appendHeader('X-Empty', '')
  })
  expect(edits.map(edit => (edit.kind === 'insertHeader' ? edit.value : null))).toEqual([
    ' \xc3\xbc',
    ' \t\xfc',
    ' a;\n b',
    ` ${'x'.repeat(5000)}`,
    ' ',
  ])
})

test.each<[what: string, call: string, end: (event: EndEvent) => void]>([
  ['an empty name', 'edit.prependHeader', ({ edit }) => edit.prependHeader('', 'x')],
  ['a name with a colon', 'edit.prependHeader', ({ edit }) => edit.prependHeader('X:', 'x')],
  ['a name with a line break', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X\nY', 'x')],
  ['a name beyond ASCII', 'edit.appendHeader', ({ edit }) => edit.appendHeader('Ü', 'x')],
  ['a name that is none', 'edit.appendHeader', ({ edit }) => edit.appendHeader(5 as never, 'x')],
  ['a CR in a value', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X', 'a\r\n b')],
  ['a NUL in a value', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X', 'a\0')],
  ['an injected field', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X', 'a\nBcc: victim@example.org')],
  ['a trailing line feed', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X', 'a\n')],
  ['a folded line of blanks', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X', 'a\n \n b')],
  ['bytes with a CR', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X', Uint8Array.of(97, 13))],
  ['a value that is none', 'edit.appendHeader', ({ edit }) => edit.appendHeader('X', 5 as never)],
  ['an empty replacement', 'edit.replaceHeader', event => event.edit.replaceHeader(event.headers[0]!, ' ')],
  ['a copied field', 'edit.replaceHeader', ({ edit, headers }) => edit.replaceHeader({ ...headers[0]! }, 'x')],
  ['a field that is none', 'edit.removeHeader', ({ edit }) => edit.removeHeader('Subject' as never)],
  ['a body that is none', 'edit.replaceBody', ({ edit }) => edit.replaceBody(5 as never)],
  ['a null body', 'edit.replaceBody', ({ edit }) => edit.replaceBody(null as never)],
  ['a null recipient', 'edit.addRecipient', ({ edit }) => edit.addRecipient('<>')],
  ['an address with a line break', 'edit.addRecipient', ({ edit }) => edit.addRecipient('a@b\r\nRCPT TO:<c@d>')],
  ['two addresses', 'edit.addRecipient', ({ edit }) => edit.addRecipient('a@b, c@d')],
  ['an address in brackets twice', 'edit.removeRecipient', ({ edit }) => edit.removeRecipient('<<a@b>>')],
  ['a sender with a blank', 'edit.sender', ({ edit }) => edit.sender('a b@c')],
  ['a sender that is none', 'edit.sender', ({ edit }) => edit.sender(undefined as never)],
])('%s is refused at the call', async (_what, call, end) => {
  const error = await failureOf(() => editsOf(end))
  expect(error).toMatchObject({ code: 'PLUGIN_ARGUMENT' })
  expect(error?.message).toContain(`plugin probe called ${call}: `)
})

test('a refused edit may be caught, and the others count', async () => {
  const edits = await editsOf(({ edit }) => {
    edit.appendHeader('X-One', '1')
    try {
      edit.appendHeader('X-Two', 'a\r')
    } catch {
      edit.appendHeader('X-Two', 'unusable')
    }
  })
  expect(edits).toHaveLength(2)
})

test('the envelope is changed with or without angle brackets, and back to its own addresses', async () => {
  const edits = await editsOf(event => {
    event.edit.sender('one@example.org')
    event.edit.sender('')
    event.edit.addRecipient('<jürgen@example.org>')
    event.edit.addRecipient('"a b"@example.org')
    event.edit.removeRecipient(event.recipients[1]!)
  })
  expect(edits).toEqual([
    { kind: 'changeSender', address: '<>', args: '' },
    { kind: 'addRecipient', address: '<j\xc3\xbcrgen@example.org>', args: '' },
    { kind: 'addRecipient', address: '<"a b"@example.org>', args: '' },
    { kind: 'removeRecipient', address: '<two@example.com>' },
  ])
})

test('a new body is text, bytes, or an async iterable of both, with CRLF line ends', async () => {
  const bytes = Uint8Array.of(0xfc, 0x0a)
  expect(bodyText(await editsOf(({ edit }) => edit.replaceBody('ü\nb')))).toBe('\xc3\xbc\r\nb\r\n')
  expect(bodyText(await editsOf(({ edit }) => edit.replaceBody(bytes)))).toBe('\xfc\r\n')
  expect(bodyText(await editsOf(({ edit }) => edit.replaceBody('')))).toBe('')
  async function* pieces(): AsyncGenerator<string | Uint8Array> {
    yield 'a\r'
    yield '\nb\n'
    await null
    yield bytes
  }
  expect(bodyText(await editsOf(({ edit }) => edit.replaceBody(pieces())))).toBe('a\r\nb\r\n\xfc\r\n')
})

test('the old body can flow into the new one', async () => {
  const edits = await editsOf(event => {
    async function* marked(): AsyncGenerator<Uint8Array | string> {
      yield 'caution\n'
      yield* event.body()
    }
    event.edit.replaceBody(marked())
  })
  expect(bodyText(edits)).toBe('caution\r\nold\r\n')
})

test('bytes given as a body may be used again by their author', async () => {
  const buffer = Buffer.from('good')
  const edits = await editsOf(({ edit }) => {
    edit.replaceBody(buffer)
    buffer.fill(0)
  })
  expect(bodyText(edits)).toBe('good\r\n')
})

test('an error while the new body is read is a failure of the plugin, and the body is given up', async () => {
  let discarded = 0
  async function* broken(): AsyncGenerator<string> {
    yield 'half'
    throw new Error('the store went away')
  }
  const newBody = (): { write(): void; finish(): never; discard(): void } => ({
    write() {},
    finish() {
      throw new Error('not reached')
    },
    discard() {
      discarded++
    },
  })
  const conversation = await converse(withHooks({ end: ({ edit }) => edit.replaceBody(broken()) }), { newBody })
  const error = await failureOf(() => conversation.deliver(message))
  expect(error?.message).toContain('filter probe failed at end: the store went away')
  expect(discarded).toBe(1)
})

test('a piece of the new body that is no text is a failure', async () => {
  async function* odd(): AsyncGenerator<string> {
    yield 5 as never
  }
  const error = await failureOf(() => editsOf(({ edit }) => edit.replaceBody(odd())))
  expect(error).toMatchObject({ code: 'FILTER_THREW' })
})

test('a new body is read no further when nobody waits for it', async () => {
  let conversation: Conversation | null = null
  let closed = false
  async function* endless(): AsyncGenerator<string> {
    try {
      for (let i = 0; ; i++) {
        if (i === 3) conversation?.controller.abort({ kind: 'timeout', detail: '' })
        yield 'x\n'
      }
    } finally {
      closed = true
    }
  }
  conversation = await converse(withHooks({ end: ({ edit }) => edit.replaceBody(endless()) }))
  expect((await conversation.deliver(message)).edits).toEqual([])
  expect(closed).toBe(true)
})

test.each([
  ['reject', reject('no'), 0],
  ['quarantine', quarantine('odd'), 1],
])('edits go with the verdict %s or not', async (_name, verdict, count) => {
  const edits = await editsOf(({ edit }) => {
    edit.appendHeader('X', 'y')
    return verdict
  })
  expect(edits).toHaveLength(count)
})
