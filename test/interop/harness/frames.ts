// Milter packets as the test doubles read and write them: framing, packing, names of nothing.
//
// On purpose not the product's codec: a fault test must not pass because both ends share a mistake. Wire text is latin1 in
// strings, one character a byte. No check of any kind: garbage is a feature here. Used by rawMilter and mtaClient.

/** One packet: the command or reply letter, and the bytes after it. */
export interface Packet {
  command: string
  data: Buffer
}

export function frame(command: string, data: Buffer | string = ''): Buffer {
  const payload = typeof data === 'string' ? Buffer.from(data, 'latin1') : data
  const head = Buffer.alloc(5)
  head.writeUInt32BE(payload.length + 1)
  head.write(command, 4, 'latin1')
  return Buffer.concat([head, payload])
}

export function uint32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) out.writeUInt32BE(value >>> 0, i * 4)
  return out
}

/** Each string with its NUL. */
export function cstrings(...values: string[]): Buffer {
  return Buffer.from(values.map(v => `${v}\0`).join(''), 'latin1')
}

/** The NUL-terminated strings in data; an unterminated rest counts as one. */
export function strings(data: Buffer): string[] {
  const text = data.toString('latin1')
  return text === '' ? [] : (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0')
}

/** Cuts a byte stream into packets; `pending` holds what does not make one yet. */
export class Splitter {
  #chunks: Buffer[] = []
  #size = 0

  feed(chunk: Buffer): Packet[] {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    const packets: Packet[] = []
    for (let need = this.#need(); need > 4 && this.#size >= need; need = this.#need()) {
      const all = this.pending
      packets.push({ command: String.fromCharCode(all[4] ?? 0), data: all.subarray(5, need) })
      this.#chunks = [all.subarray(need)]
      this.#size -= need
    }
    return packets
  }

  get pending(): Buffer {
    const all = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }

  /** Bytes of the first packet, or 0 while its length is not in yet. */
  #need(): number {
    if (this.#size < 4) return 0
    return ((this.#chunks[0]?.length ?? 0) >= 4 ? (this.#chunks[0] as Buffer) : this.pending).readUInt32BE(0) + 4
  }
}
