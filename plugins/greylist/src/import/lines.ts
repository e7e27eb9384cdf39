/**
 * The lines of a file of any size, one at a time, with how many bytes have been read.
 *
 * No more than a chunk and one line is in memory. A line longer than any honest one comes as `null`. Bytes are read as latin1,
 * so that none is lost; the formats are ASCII.
 */
export interface Line {
  readonly number: number
  /** `null`: too long. Without its line end. */
  readonly text: string | null
  readonly bytes: number
}

const LONGEST = 65_536

export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let number = 0
  let bytes = 0
  let rest = ''
  let tooLong = false
  for await (const chunk of chunks) {
    bytes += chunk.length
    const parts = (rest + Buffer.from(chunk).toString('latin1')).split('\n')
    rest = parts.pop()!
    for (const part of parts) {
      number++
      yield { number, text: tooLong || part.length > LONGEST ? null : part.replace(/\r$/, ''), bytes }
      tooLong = false
    }
    if (rest.length > LONGEST) {
      tooLong = true
      rest = ''
    }
  }
  if (rest !== '' || tooLong) yield { number: number + 1, text: tooLong ? null : rest.replace(/\r$/, ''), bytes }
}
