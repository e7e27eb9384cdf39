/**
 * What stands after `EXPECT`, as data. Pure; called by `parse.ts`, written back by `write.ts`.
 */
import { suggestion } from '../../host/config/problem.ts'
import { readEdit } from './edit-words.ts'
import type { Expectation, ScenarioVerdict, Wanted } from './scenario.ts'
import type { Word } from './words.ts'

const VERDICTS: Readonly<Record<string, ScenarioVerdict>> = {
  accept: 'accept',
  continue: 'accept',
  reject: 'reject',
  tempfail: 'tempfail',
  discard: 'discard',
  quarantine: 'quarantine',
  'client-left': 'client-left',
  aborted: 'aborted',
}

const SUBJECTS = ['header', 'body', 'sender', 'recipient', 'unchanged', 'by', 'filter', 'edit', 'no']

/** `block`: the text of a `<<WORD` block, whose word is then the last. `bad` makes the error. */
export function parseExpectation(
  words: readonly Word[],
  block: string | null,
  bad: (what: string) => Error,
): Expectation {
  const absent = words[0]?.text === 'no' && words[0].form === 'bare'
  const [subject, ...rest] = absent ? words.slice(1) : words
  const what = subject?.form === 'bare' ? subject.text : ''
  const verdict = VERDICTS[what]
  if (verdict !== undefined && !absent) return verdictOf(verdict, rest, bad)
  switch (what) {
    case 'header': {
      const [name, ...value] = rest
      if (name === undefined) throw bad('EXPECT header needs the name of a field')
      const wanted = value.length === 0 ? null : wantedOf(value, bad)
      return { kind: 'header', name: name.text.replace(/:$/, ''), value: wanted, absent }
    }
    case 'body': {
      if (block !== null) return { kind: 'body', text: block, whole: true, absent }
      if (rest.length === 0) throw bad('EXPECT body needs a text, a /pattern/ or a block')
      return { kind: 'body', text: wantedOf(rest, bad), whole: false, absent }
    }
    case 'sender':
      return { kind: 'sender', address: addressOf(rest, bad) }
    case 'recipient':
      return { kind: 'recipient', address: addressOf(rest, bad), absent }
    case 'unchanged':
      if (rest.length > 0) throw bad('EXPECT unchanged stands alone')
      return { kind: 'unchanged' }
    case 'by':
      if (rest.length !== 1) throw bad('EXPECT by needs the name of a filter')
      return { kind: 'by', filter: rest[0]!.text }
    case 'filter': {
      const [filter, said, ...more] = rest
      const word = said?.text ?? ''
      const plain = word === 'failed' || word === 'continue' ? word : null
      const kind = plain ?? VERDICTS[word]
      if (filter === undefined || kind === undefined || (plain !== null && more.length > 0))
        throw bad('EXPECT filter needs the name of a filter and its verdict, or failed')
      return { kind: 'filter', filter: filter.text, verdict: kind, ...replyOf(more, bad) }
    }
    case 'edit': {
      const [filter, ...edit] = rest
      return { kind: 'edit', filter: filter?.text ?? '', edit: readEdit(edit, bad) }
    }
    default: {
      throw bad(
        subject === undefined
          ? `EXPECT needs what is expected: ${[...Object.keys(VERDICTS), ...SUBJECTS].join(', ')}`
          : `${subject.text} cannot be expected${suggestion(subject.text, [...Object.keys(VERDICTS), ...SUBJECTS])}`,
      )
    }
  }
}

const verdictOf = (verdict: ScenarioVerdict, words: readonly Word[], bad: (what: string) => Error): Expectation => ({
  kind: 'verdict',
  verdict,
  ...replyOf(words, bad),
})

type ExpectedReply = Pick<Extract<Expectation, { kind: 'verdict' }>, 'code' | 'enhanced' | 'text'>

function replyOf(words: readonly Word[], bad: (what: string) => Error): ExpectedReply {
  const rest = [...words]
  let code: number | null = null
  let enhanced: string | null = null
  if (/^\d+$/.test(rest[0]?.text ?? '') && rest[0]!.form === 'bare') {
    code = Number(rest.shift()!.text)
    if (code < 200 || code > 599) throw bad(`${code} is no SMTP reply code`)
  }
  if (/^[245]\.\d{1,3}\.\d{1,3}$/.test(rest[0]?.text ?? '') && rest[0]!.form === 'bare') enhanced = rest.shift()!.text
  return { code, enhanced, text: rest.length === 0 ? null : wantedOf(rest, bad) }
}

/** One pattern or quoted text, or all the bare words as they stand. */
function wantedOf(words: readonly Word[], bad: (what: string) => Error): Wanted {
  const [first] = words
  if (words.length > 1 && words.some(({ form }) => form === 'pattern' || form === 'quoted'))
    throw bad('a "text" or a /pattern/ is the last on its line')
  if (first!.form !== 'pattern')
    return words.map(({ form, text }) => (form === 'address' ? `<${text}>` : text)).join(' ')
  try {
    return new RegExp(first!.text, first!.flags)
  } catch (error) {
    throw bad((error as Error).message)
  }
}

function addressOf(words: readonly Word[], bad: (what: string) => Error): string {
  const [word] = words
  if ((word?.form !== 'address' && word?.form !== 'quoted') || words.length > 1)
    throw bad('an address stands in angle brackets: <a@example.com>')
  return word.text
}
