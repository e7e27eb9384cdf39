/**
 * What went wrong while a configuration file was loaded, in words that name the file and the place.
 *
 * esbuild (through tsx), V8 and Node's loaders each carry the place in their own way, and V8 not at all for an ES module that
 * does not parse: then the files of the load are parsed once more to find it.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { HostError, hostError } from '../errors.ts'

/** `files` are those that this load came to, `clean` takes the loader's own marks out of a text. */
export function loadError(
  path: string,
  thrown: unknown,
  files: Iterable<string>,
  clean: (text: string) => string,
): Error {
  if (!(thrown instanceof Error)) return hostError('CONFIG_THREW', path, String(thrown))
  if (thrown instanceof HostError) return hostError('CONFIG_THREW', path, thrown.message)
  const message = clean(thrown.message)
  const stack = clean(thrown.stack ?? '')
  if (thrown.name === 'TransformError' || thrown instanceof SyntaxError) {
    const transformed = /^(?:Transform failed with.*\n)?(.+?):(\d+):(\d+): (?:ERROR: )?(.+)$/m.exec(message)
    if (transformed) {
      const [, file, line, column, what] = transformed
      return hostError('CONFIG_SYNTAX', `${file}:${line}:${Number(column) + 1}`, what!)
    }
    const before = /^(?:file:\/\/)?(\/.+?):(\d+)$/m.exec(stack)
    if (before) return hostError('CONFIG_SYNTAX', `${before[1]}:${before[2]}`, message)
    const found = ownFrame(path, stack) === undefined ? unparsable(files) : undefined
    if (found !== undefined) return hostError('CONFIG_SYNTAX', found, message)
  }
  if (isNotFound(thrown)) return hostError('CONFIG_IMPORT', path, message.replaceAll('file://', ''))
  const frame = ownFrame(path, stack)
  const what = `${message}${notAPlugin(message, frame)}`
  return hostError('CONFIG_THREW', path, frame === undefined ? what : `${what} (${frame})`)
}

/** What was compiled to CommonJS gives an importer its exports, with the plugin under `default`. */
function notAPlugin(message: string, frame: string | undefined): string {
  const name = /^([\w$]+) is not a function$/.exec(message)?.[1]
  const file = frame?.replace(/:\d+:\d+$/, '')
  if (name === undefined || file === undefined) return ''
  const imported = new RegExp(`import\\s+${name.replaceAll('$', '\\$')}\\s+from\\s+['"]([^'"]+)['"]`)
  const specifier = imported.exec(readFileSync(file, 'utf8'))?.[1]
  return specifier === undefined
    ? ''
    : `; the default export of ${specifier} is no function: a plugin is an ES module ("type": "module" in its package.json) with export default definePlugin({ … })`
}

export const isNotFound = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /^(?:ERR_)?MODULE_NOT_FOUND$/.test(String(error.code))

/** The innermost line of a stack that is the postmaster's own. */
const ownFrame = (path: string, stack: string): string | undefined =>
  stack
    .split('\n')
    .map(line => /^\s+at .*?\(?(?:file:\/\/)?(\/[^()]+?:\d+:\d+)\)?$/.exec(line)?.[1])
    .find(place => place?.startsWith(`${dirname(path)}/`) && !place.includes('/node_modules/'))

/** `file:line:column` of the first file that does not parse. */
function unparsable(files: Iterable<string>): string | undefined {
  // tsx has it loaded already, and it is nobody's business which version.
  const { transformSync } = createRequire(createRequire(import.meta.url).resolve('tsx/esm/api'))('esbuild') as Parser
  for (const file of files) {
    const loader = /\.[cm]?([jt])s$/.exec(file)?.[1]
    if (loader === undefined) continue
    try {
      transformSync(readFileSync(file, 'utf8'), { loader: `${loader}s`, logLevel: 'silent' })
    } catch (error) {
      const { location } = (error as ParseError).errors?.[0] ?? {}
      if (location) return `${file}:${location.line}:${location.column + 1}`
    }
  }
  return undefined
}

interface Parser {
  transformSync(text: string, options: { readonly loader: string; readonly logLevel: 'silent' }): unknown
}

interface ParseError {
  readonly errors?: readonly { readonly location?: { readonly line: number; readonly column: number } | null }[]
}
