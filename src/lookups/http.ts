/**
 * `http({ url })`: asks a service of your own and reads JSON.
 *
 * GET, `200` with JSON is the value; `204`, `404` and `410` mean nothing there; every other answer is an error. Connections are kept by
 * Node's own `fetch`.
 */
import { z } from 'zod'
import { hostError } from '../host/errors.ts'
import { guardedEntry } from '../host/policy/guard.ts'
import type { LookupEntry } from '../host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../host/policy/lookup-options.ts'
import { type KeyPart, partOf, partsOf } from './placeholders.ts'
import { withoutPassword } from './public-url.ts'

export interface HttpOptions<T = unknown> extends LookupOptions<T> {
  /**
   * With `{key}` for the key, `{local}` and `{domain}` for the two sides of an address; they are encoded.
   * @example 'https://policy.example.org/recipients/{key}'
   */
  readonly url: string
  /** Header fields of the question, as `{ authorization: 'Bearer …' }`. @default none but `accept` */
  readonly headers?: Readonly<Record<string, string>>
  /** Most bytes of an answer, 1 MiB. @default 1048576 */
  readonly limit?: number
}

const own = {
  url: z.string().describe('URL'),
  headers: z.record(z.string(), z.string()).describe('object of texts').default({}),
  limit: z.int().min(1).default(1_048_576).describe('whole number, at least 1'),
}

/** The options of its own. */
export const HTTP_OPTIONS: z.ZodObject = z.strictObject(own)

const PLACE = /\{(key|local|domain)\}/g

/**
 * A look-up at an HTTP service.
 *
 * @param options or just the URL.
 * @example http('https://policy.example.org/recipients/{key}')
 */
export function http<T = unknown>(options: string | HttpOptions<T>): LookupEntry<T> {
  const given = typeof options === 'string' ? { url: options } : options
  const { settings, own: read } = readLookupOptions<T, typeof own>('http', own, given, false)
  const { url, headers, limit } = read
  const parts = [...url.matchAll(PLACE)].map(([, part]) => part as KeyPart)
  const refuse = (what: string): never => {
    throw hostError('LOOKUP_OPTIONS', settings.name, what)
  }
  if (!/^https?:\/\//.test(url) || !URL.canParse(url.replaceAll(PLACE, 'x')))
    refuse(`url must be http:// or https://, not ${JSON.stringify(url)}`)
  if (parts.length === 0) refuse('url must have {key}, {local} or {domain} in it')
  const ask = async (key: string, signal: AbortSignal): Promise<unknown> => {
    if (partsOf(key, parts) === null) return null
    const target = url.replaceAll(PLACE, (_, part: KeyPart) => encodeURIComponent(partOf(key, part)!))
    const answer = await reached(() => fetch(target, { headers: { accept: 'application/json', ...headers }, signal }))
    if (answer.status === 200) return JSON.parse(await textOf(answer, limit))
    await answer.body?.cancel()
    if ([204, 404, 410].includes(answer.status)) return null
    throw new Error(`it answers ${answer.status} ${answer.statusText}`.trim())
  }
  return guardedEntry(withoutPassword(url), settings, () => ({
    get: ask,
    probe: async signal => void (await ask('postmaster@localhost', signal)),
    close: () => {},
  }))
}

/** `fetch` says "fetch failed" and keeps the reason for itself. */
async function reached(run: () => Promise<Response>): Promise<Response> {
  try {
    return await run()
  } catch (error) {
    const { cause } = error as Error
    throw cause instanceof Error ? cause : error
  }
}

async function textOf(answer: Response, limit: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of answer.body ?? []) {
    size += chunk.byteLength
    if (size > limit) throw new Error(`its answer is larger than ${limit} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
