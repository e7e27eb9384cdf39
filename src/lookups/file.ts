/**
 * `file('/etc/milterhost/users.yaml')`: a list or a table in a file of one's own.
 *
 * By the ending: `.yaml` or `.yml`, `.json`, anything else is lines: a key, and behind white space the value. A list, and a line without
 * a value, means `true`. Keys are folded to lower case. Read again when it changes. As the central policy it can be
 * written by `milterhost policy set` (`file-store.ts`).
 */
import { readFile } from 'node:fs/promises'
import { hostError } from '../host/errors.ts'
import { guardedEntry } from '../host/policy/guard.ts'
import type { LookupEntry } from '../host/policy/lookup.ts'
import { type LookupOptions, readLookupOptions } from '../host/policy/lookup-options.ts'
import { fileStore } from './file-store.ts'
import { tableOf } from './file-table.ts'
import { WatchedFile } from './watched-file.ts'

/**
 * A file of keys and values, held in memory.
 *
 * @param path from the root.
 * @example file('/etc/milterhost/vip.txt')
 */
export function file<T = unknown>(path: string, options: LookupOptions<T> = {}): LookupEntry<T> {
  const { settings } = readLookupOptions<T, Record<never, never>>('file', {}, options, true)
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw hostError(
      'LOOKUP_OPTIONS',
      settings.name,
      `the file must be named from the root, not ${JSON.stringify(path)}`,
    )
  }
  return guardedEntry(
    path,
    settings,
    async around => {
      const watched = await WatchedFile.open(path, async () => tableOf(path, await readFile(path, 'utf8')), around)
      return {
        get: key => watched.value.get(key.toLowerCase()) ?? null,
        probe: () => watched.probe(),
        readAt: () => watched.readAt,
        close: () => watched.close(),
      }
    },
    async () => fileStore(path),
  )
}
