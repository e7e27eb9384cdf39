/**
 * Lets each client, or each user who has authenticated, send so many messages in a span of time; counted in Redis, so that all hosts of a site
 * count together.
 *
 * One round trip a message: INCR and its expiry in one script, atomically. When Redis is down the filter fails, and `onFailure` of the entry
 * says what that means.
 */
import { Redis } from 'ioredis'
import { definePlugin, type Plugin, parseDuration, tempfail } from 'milterhost/plugin'
import { z } from 'zod'

export interface RateLimitOptions {
  /** `redis://127.0.0.1:6379` */
  readonly redis: string
  /** Messages in each span. @default 100 */
  readonly most?: number
  /** @default '1h' */
  readonly span?: string | number
}

const COUNT = `
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n`

const rateLimit: Plugin<RateLimitOptions> = definePlugin({
  name: 'rate-limit',
  options: z.object({
    redis: z.string().regex(/^rediss?:\/\//, 'must be a URL such as redis://127.0.0.1:6379'),
    most: z.int().positive().default(100),
    span: z
      .union([z.string(), z.number()])
      .default('1h')
      .transform(span => parseDuration(span)),
  }),
  setup(host, { redis, most, span }) {
    const client = new Redis(redis, { enableOfflineQueue: false, commandTimeout: 500, maxRetriesPerRequest: 0 })
    client.on('error', error => host.log.warn({ error: error.message }, 'the rate limit has no Redis'))
    host.onClose(() => client.disconnect())
    return {
      async mail(event) {
        const who = event.auth?.user ?? event.client.address
        const sent = Number(await client.eval(COUNT, 1, `rate:${who}`, span))
        if (sent > most) return tempfail('Too many messages, try again later', { enhanced: '4.7.1' })
      },
    }
  },
})

export default rateLimit
