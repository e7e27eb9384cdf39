import { describe, expect, it } from 'vitest'
import { writeBatch } from '../../../src/bridge/mta/batch.ts'
import { negotiate } from '../../../src/bridge/mta/negotiate.ts'
import { decodeReply, FrameDecoder, type Reply } from '../../../src/bridge/wire/index.ts'
import { AT_END, type Edit } from '../../../src/host/message/edit.ts'
import type { Body } from '../../../src/host/message/snapshot.ts'
import { CONTINUE, REJECT } from '../../../src/host/verdict.ts'
import { offer } from './support/mta.ts'
import { everything } from './support/recorder.ts'

const terms = negotiate(offer, everything)
const withoutLeadingSpace = negotiate({ ...offer, protocol: 0xfffff }, everything)

class Paper {
  readonly writes: Buffer[] = []
  full = false
  waited = 0
  write(bytes: Buffer): boolean {
    this.writes.push(bytes)
    return !this.full
  }
  async flushed(): Promise<void> {
    this.waited++
  }
  get replies(): Reply[] {
    const replies: Reply[] = []
    new FrameDecoder().push(Buffer.concat(this.writes), (letter, payload) => {
      replies.push(decodeReply(letter, Buffer.from(payload)))
    })
    return replies
  }
}

const inMemory = (...pieces: Buffer[]): Body => ({
  size: pieces.reduce((sum, piece) => sum + piece.length, 0),
  memory: pieces,
  chunks: () => pieces,
})

const spooled = (...pieces: Buffer[]): Body => ({
  size: pieces.reduce((sum, piece) => sum + piece.length, 0),
  memory: null,
  async *chunks() {
    yield* pieces
  },
})

describe('the batch at the end of a message', () => {
  it('is one write, to the byte, with the body first and the verdict last', () => {
    const paper = new Paper()
    const edits: Edit[] = [
      { kind: 'replaceBody', body: inMemory(Buffer.from('hi\r\n')) },
      { kind: 'changeHeader', occurrence: 2, name: 'X-C', value: ' v' },
      { kind: 'removeHeader', occurrence: 2, name: 'X-C' },
      { kind: 'insertHeader', index: 1, name: 'X-I', value: ' v' },
      { kind: 'addHeader', name: 'X-A', value: 'v' },
      { kind: 'changeSender', address: '<a@b>', args: '' },
      { kind: 'removeRecipient', address: '<c@d>' },
      { kind: 'addRecipient', address: '<e@f>', args: '' },
      { kind: 'addRecipient', address: '<a@b>', args: 'NOTIFY=NEVER' },
      { kind: 'quarantine', reason: 'why' },
    ]
    writeBatch(paper, { verdict: CONTINUE, edits }, terms)
    expect(paper.writes).toHaveLength(1)
    expect(paper.writes[0]!.toString('latin1')).toBe(
      [
        '\0\0\0\x05bhi\r\n',
        '\0\0\0\x0cm\0\0\0\x02X-C\0 v\0',
        '\0\0\0\x0am\0\0\0\x02X-C\0\0',
        '\0\0\0\x0ci\0\0\0\x01X-I\0 v\0',
        '\0\0\0\x07hX-A\0v\0',
        '\0\0\0\x07e<a@b>\0',
        '\0\0\0\x07-<c@d>\0',
        '\0\0\0\x07+<e@f>\0',
        '\0\0\0\x142<a@b>\0NOTIFY=NEVER\0',
        '\0\0\0\x05qwhy\0',
        '\0\0\0\x01c',
      ].join(''),
    )
  })

  it('leaves the one space out that an MTA without LEADSPC adds', () => {
    const paper = new Paper()
    const edits: Edit[] = ['X', ' X', '  X', ''].map(value => ({ kind: 'addHeader', name: 'N', value }))
    writeBatch(paper, { verdict: CONTINUE, edits }, withoutLeadingSpace)
    expect(paper.replies.slice(0, 4).map(reply => 'value' in reply && reply.value)).toEqual(['X', 'X', ' X', ''])
  })

  it('never turns a change to an empty value into a removal', () => {
    for (const each of [terms, withoutLeadingSpace]) {
      for (const value of ['', ' ']) {
        const paper = new Paper()
        writeBatch(
          paper,
          { verdict: CONTINUE, edits: [{ kind: 'changeHeader', occurrence: 1, name: 'N', value }] },
          each,
        )
        expect(paper.replies[0]).toMatchObject({ kind: 'change-header', value: ' ' })
      }
    }
  })

  it('writes "at the end" as an index that both MTAs can count to', () => {
    const paper = new Paper()
    writeBatch(
      paper,
      { verdict: CONTINUE, edits: [{ kind: 'insertHeader', index: AT_END, name: 'N', value: '' }] },
      terms,
    )
    expect(paper.replies[0]).toMatchObject({ kind: 'insert-header', index: 0xff_ffff })
  })

  it('drops the parameters of a recipient for an MTA that takes none', () => {
    const old = negotiate({ ...offer, actions: 0x3f }, everything)
    const paper = new Paper()
    writeBatch(paper, { verdict: CONTINUE, edits: [{ kind: 'addRecipient', address: '<a>', args: 'X' }] }, old)
    expect(paper.replies[0]).toEqual({ kind: 'add-recipient', path: '<a>' })
  })

  it.each([
    ['in memory', inMemory],
    ['spooled', spooled],
  ])('says an empty body with one empty packet (%s)', async (_, make) => {
    const paper = new Paper()
    await writeBatch(paper, { verdict: CONTINUE, edits: [{ kind: 'replaceBody', body: make() }] }, terms)
    expect(paper.replies).toEqual([{ kind: 'replace-body', chunk: Buffer.alloc(0) }, { kind: 'continue' }])
  })

  it.each([
    ['in memory', inMemory],
    ['spooled', spooled],
  ])(
    'cuts a large body into packets of at most 65535 bytes and waits for the MTA between them (%s)',
    async (_, make) => {
      const bytes = Buffer.alloc(1_000_000, 'abcdefghi\r\n')
      const paper = new Paper()
      paper.full = true
      const edits: Edit[] = [
        { kind: 'replaceBody', body: make(bytes.subarray(0, 70_000), bytes.subarray(70_000)) },
        { kind: 'addHeader', name: 'A', value: ' b' },
      ]
      await writeBatch(paper, { verdict: CONTINUE, edits }, terms)
      const { replies } = paper
      const bodies = replies.flatMap(reply => (reply.kind === 'replace-body' ? [reply.chunk] : []))
      expect(Buffer.concat(bodies).equals(bytes)).toBe(true)
      expect(Math.max(...bodies.map(chunk => chunk.length))).toBeLessThanOrEqual(65535)
      expect(replies.slice(bodies.length).map(({ kind }) => kind)).toEqual(['add-header', 'continue'])
      expect(paper.waited).toBeGreaterThan(0)
    },
  )

  it('writes nothing if an edit cannot be written', () => {
    const paper = new Paper()
    const edits: Edit[] = [
      { kind: 'replaceBody', body: inMemory(Buffer.from('x')) },
      { kind: 'addHeader', name: 'A', value: 'nul\0' },
    ]
    expect(() => writeBatch(paper, { verdict: CONTINUE, edits }, terms)).toThrow('NUL')
    expect(paper.writes).toEqual([])
  })

  it('is the verdict alone when the message is not kept', () => {
    const paper = new Paper()
    writeBatch(paper, { verdict: REJECT, edits: [] }, terms)
    expect(paper.replies).toEqual([{ kind: 'reject' }])
  })
})
