/**
 * Writes the central policy that lies in a file, for `milterhost policy set`: YAML keeps its comments, JSON its order.
 *
 * The file is replaced as a whole, by renaming, with the rights it had; the daemon reads it again by itself. Two programs that write
 * at the same moment: the second wins with what it read, so there is one check that the file is still the one that was read.
 */
import { chown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { isMap, type Node, parseDocument } from 'yaml'
import { hostError } from '../host/errors.ts'
import type { PolicyStore } from '../host/policy/lookup.ts'
import { tableOf } from './file-table.ts'

/** Throws `LOOKUP_FILE` where the file is one that only people write. */
export function fileStore(path: string): PolicyStore {
  if (!/\.(?:ya?ml|json)$/.test(path))
    throw hostError('LOOKUP_FILE', path, 'only YAML and JSON files can be written by a command')
  const read = async (): Promise<string> => {
    try {
      return await readFile(path, 'utf8')
    } catch (error) {
      throw hostError('LOOKUP_FILE', path, (error as Error).message)
    }
  }
  const table = async (): Promise<ReadonlyMap<string, unknown>> => {
    const text = await read()
    try {
      return tableOf(path, text)
    } catch (error) {
      throw hostError('LOOKUP_FILE', path, (error as Error).message)
    }
  }
  return {
    get: async key => (await table()).get(key.toLowerCase()) ?? null,
    async set(key, value) {
      // A file that is wrong is not made worse.
      await table()
      const before = await read()
      await replace(path, before, edited(path, before, key.toLowerCase(), value))
    },
    async *list() {
      yield* [...(await table())].sort(([a], [b]) => (a < b ? -1 : 1))
    },
    close: async () => {},
  }
}

function edited(path: string, text: string, key: string, value: Readonly<Record<string, unknown>> | null): string {
  // JSON is YAML, too.
  const document = parseDocument<Node>(text.trim() === '' ? '{}' : text)
  const contents = document.contents ?? document.createNode({})
  document.contents = contents
  if (!isMap(contents)) throw hostError('LOOKUP_FILE', path, 'it holds a list of keys, which have no values to set')
  const written = contents.items.map(item => String((item.key as { readonly value?: unknown }).value ?? item.key))
  const existing = written.find(name => name.toLowerCase() === key)
  if (value === null) {
    if (existing !== undefined) document.delete(existing)
  } else document.set(existing ?? key, document.createNode(value))
  return path.endsWith('.json') ? `${JSON.stringify(document.toJS(), null, 2)}\n` : document.toString()
}

async function replace(path: string, before: string, after: string): Promise<void> {
  const { mode, uid, gid } = await stat(path)
  const fresh = `${path}.${process.pid}.new`
  try {
    await writeFile(fresh, after, { mode: mode & 0o777, flag: 'wx' })
    if (process.getuid?.() === 0) await chown(fresh, uid, gid)
    if ((await readFile(path, 'utf8')) !== before)
      throw new Error('another program has written it meanwhile: try again')
    await rename(fresh, path)
  } catch (error) {
    await rm(fresh, { force: true })
    throw hostError('LOOKUP_FILE', path, (error as Error).message)
  }
}
