/**
 * Puts a mark in front of the subject, once: a reply that carries it already is left alone.
 */
import { definePlugin, type Plugin } from 'milterhost/plugin'
import { z } from 'zod'

export interface SubjectTagOptions {
  /** @default '[external]' */
  readonly tag?: string
}

const subjectTag: Plugin<SubjectTagOptions> = definePlugin({
  name: 'subject-tag',
  options: z.object({ tag: z.string().min(1).default('[external]') }),
  setup: (_host, { tag }) => ({
    end(event) {
      const subject = event.header('Subject')
      if (subject === undefined) event.edit.appendHeader('Subject', tag)
      else if (!subject.value.includes(tag)) event.edit.replaceHeader(subject, `${tag} ${subject.value.trimStart()}`)
    },
  }),
})

export default subjectTag
