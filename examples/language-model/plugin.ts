/**
 * Asks a service behind HTTP, such as a language model, how likely a message is unwanted, and marks or refuses it by the score.
 *
 * Only the beginning of the text leaves this machine. The service has a deadline of its own, below the chain's; one that is late, down or
 * makes no sense throws, and the entry's `onFailure` decides. Begin with `mode: 'observe'` and read in the log what it would have done.
 */
import { definePlugin, type Plugin, parseDuration, reject } from 'milterhost/plugin'
import { z } from 'zod'

export interface LanguageModelOptions {
  /** Gets `POST { from, subject, text }` as JSON and answers `{ score }`, 0 to 1. */
  readonly url: string
  /** @default '5s' */
  readonly timeout?: string | number
  /** Scores from which a message is refused. @default 0.95 */
  readonly refuse?: number
}

const Answer = z.object({ score: z.number().min(0).max(1) })
const SHOWN = 4_000

const languageModel: Plugin<LanguageModelOptions> = definePlugin({
  name: 'language-model',
  options: z.object({
    url: z.url(),
    timeout: z
      .union([z.string(), z.number()])
      .default('5s')
      .transform(timeout => parseDuration(timeout)),
    refuse: z.number().min(0).max(1).default(0.95),
  }),
  setup: (_host, { url, timeout, refuse }) => ({
    async end(event) {
      let text = ''
      const decoder = new TextDecoder()
      for await (const piece of event.body()) {
        text += decoder.decode(piece, { stream: true })
        if (text.length >= SHOWN) break
      }
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          from: event.sender.address,
          subject: event.header('Subject')?.value ?? '',
          text: text.slice(0, SHOWN),
        }),
        signal: AbortSignal.any([event.signal, AbortSignal.timeout(timeout)]),
      })
      if (!response.ok) throw new Error(`the model answered ${response.status}`)
      const { score } = Answer.parse(await response.json())
      for (const forged of event.headerAll('X-Model-Score')) event.edit.removeHeader(forged)
      event.edit.prependHeader('X-Model-Score', score.toFixed(2))
      if (score >= refuse) return reject('This message looks unwanted', { enhanced: '5.7.1' })
    },
  }),
})

export default languageModel
