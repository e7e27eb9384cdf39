/**
 * Refuses messages with attachments of certain names or types.
 *
 * What a message holds is read by postal-mime, which knows encoded and split file names. A message above `limit` is not taken apart, because
 * it would have to lie in memory; it is put off or passed as `tooLarge` says.
 */
import { buffer } from 'node:stream/consumers'
import { definePlugin, type Plugin, parseSize, reject, tempfail } from 'milterhost/plugin'
import PostalMime from 'postal-mime'
import { z } from 'zod'

export interface AttachmentBlockerOptions {
  /** Ends of file names, without regard to case. @default programs and scripts of Windows */
  readonly names?: readonly string[]
  /** MIME types. @default none */
  readonly types?: readonly string[]
  /** @default '20MiB' */
  readonly limit?: string | number
  /** @default 'pass' */
  readonly tooLarge?: 'pass' | 'tempfail'
}

const PROGRAMS = ['.exe', '.scr', '.com', '.bat', '.cmd', '.js', '.jse', '.vbs', '.vbe', '.wsf', '.lnk', '.hta', '.iso']

const attachmentBlocker: Plugin<AttachmentBlockerOptions> = definePlugin({
  name: 'attachment-blocker',
  options: z.object({
    names: z.array(z.string().startsWith('.', 'must begin with a dot, such as ".exe"')).readonly().default(PROGRAMS),
    types: z.array(z.string()).readonly().default([]),
    limit: z
      .union([z.string(), z.number()])
      .default('20MiB')
      .transform(size => parseSize(size)),
    tooLarge: z.enum(['pass', 'tempfail']).default('pass'),
  }),
  setup(host, { names, types, limit, tooLarge }) {
    const blocked = host.counter('blocked_total', 'Messages refused for an attachment')
    return {
      async end(event) {
        if (event.size > limit) return tooLarge === 'pass' ? undefined : tempfail('Too large to be looked at')
        const { attachments } = await PostalMime.parse(await buffer(event.raw()))
        // Windows drops dots and spaces at the end of a name.
        const found = attachments.find(({ filename, mimeType }) => {
          const name = (filename ?? '').toLowerCase().replace(/[. ]+$/, '')
          return names.some(end => name.endsWith(end.toLowerCase())) || types.includes(mimeType.toLowerCase())
        })
        if (found === undefined) return
        blocked.add()
        event.log.info({ name: found.filename, type: found.mimeType }, 'attachment refused')
        return reject('An attachment of this kind is not accepted here', { enhanced: '5.7.1' })
      },
    }
  },
})

export default attachmentBlocker
