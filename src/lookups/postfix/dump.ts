/**
 * The whole content of a `hash`, `btree` or `lmdb` table, by Postfix's own `postmap -s`.
 *
 * One run when the file changes, then look-ups cost nothing: `postmap -q` costs 34 to 110 ms each, and reading the files oneself would be
 * right only until Postfix is linked against another version of the library.
 */
import { execFile } from 'node:child_process'

/** A table larger than this has no place in memory. */
const LARGEST = 512 * 1024 * 1024
const LONGEST = 60_000

/** `table` as Postfix names it, `hash:/etc/postfix/users`. Rejects with what postmap said. */
export function dumpTable(postmap: string, table: string): Promise<ReadonlyMap<string, string>> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: LARGEST, timeout: LONGEST, killSignal: 'SIGKILL' as const, encoding: 'utf8' as const }
    execFile(postmap, ['-s', table], options, (error, stdout, stderr) => {
      if (error === null) return resolve(parse(stdout))
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return reject(new Error(`${postmap} is not there: it is needed to read ${table}`))
      reject(new Error(`postmap -s ${table}: ${stderr.trim() || error.message}`))
    })
  })
}

function parse(output: string): ReadonlyMap<string, string> {
  const table = new Map<string, string>()
  for (const line of output.split('\n')) {
    const tab = line.indexOf('\t')
    if (tab > 0) table.set(line.slice(0, tab), line.slice(tab + 1))
  }
  return table
}
