/**
 * The plugin behind the scenario files of this folder: it does what a conversation asks for, by words in HELO name, addresses and subject,
 * so that a scenario shows what it tests.
 *
 * `+WORD` in the local part of an address, the first label of HELO, or the subject: reject, tempfail, discard, quarantine, accept, 421,
 * words (three lines of reply), throw, hold (three seconds), and client, mta, mailer: refused with what is known of them.
 */
import {
  accept,
  definePlugin,
  discard,
  type Plugin,
  quarantine,
  type RcptEvent,
  reject,
  tempfail,
  type Verdict,
} from '../../src/plugin.ts'

const VERDICTS: Readonly<Record<string, () => Verdict>> = {
  accept: () => accept,
  reject: () => reject('Refused as asked', { code: 554, enhanced: '5.7.9' }),
  words: () => reject(['One line', 'another with 100 %', 'the last'], { code: 553, enhanced: '5.1.3' }),
  tempfail: () => tempfail('Not now', { code: 452, enhanced: '4.2.2' }),
  421: () => tempfail('Closing', { code: 421, enhanced: '4.3.2' }),
  discard: () => discard,
  quarantine: () => quarantine('as asked'),
  throw: () => {
    throw new Error('as asked')
  },
}

const nameOf = ({ client, auth }: RcptEvent): string =>
  `${client.hostname ?? 'unknown'} [${client.address}]${auth === null ? '' : ` ${auth.user}`}`

export const obedient: Plugin = definePlugin({
  name: 'obedient',
  setup: () => {
    const obey = (word: string | undefined): Verdict | undefined => VERDICTS[word ?? '']?.()
    const inAddress = (address: string): string | undefined => /\+(\w+)@/.exec(address)?.[1]
    return {
      helo: event => obey(event.name.split('.')[0]),
      mail: event => obey(inAddress(event.sender.address)),
      async rcpt(event) {
        const word = inAddress(event.recipient.address)
        if (word === 'hold') return (await event.hold(3)) === 'waited' ? undefined : tempfail('Did not wait')
        const known = { client: nameOf(event), mta: event.macro('v'), mailer: event.macro('rcpt_mailer') }
        const asked = known[word as keyof typeof known]
        return asked === undefined ? obey(word) : reject(asked, { code: 554, enhanced: '5.7.9' })
      },
      async end(event) {
        const [subject = ''] = event.header('subject')?.value.trim().split(' ') ?? []
        const { edit } = event
        switch (subject) {
          case 'prepend':
            edit.prependHeader('X-First', 'one')
            edit.prependHeader('X-Zeroth', 'two')
            break
          case 'append':
            edit.appendHeader('X-Last', 'a value\n folded')
            break
          case 'change':
            edit.replaceHeader(event.header('subject')!, 'changed')
            for (const field of event.headerAll('x-remove')) edit.removeHeader(field)
            break
          case 'measure': {
            let text = ''
            for await (const piece of event.body()) text += Buffer.from(piece).toString('latin1')
            edit.appendHeader('X-Size', String(text.length))
            edit.appendHeader('X-Lines', String(text.split('\r\n').length - 1))
            break
          }
          case 'body':
            edit.replaceBody('.a line with a dot\r\nand another\r\n')
            break
          case 'envelope':
            edit.sender('new-sender@example.net')
            edit.addRecipient('added@example.com')
            edit.removeRecipient('first@example.com')
            break
          default:
            return obey(subject)
        }
      },
    }
  },
})
