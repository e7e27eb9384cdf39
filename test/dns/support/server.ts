/**
 * A name server on loopback, UDP and TCP on one port, that answers as a test says: records, failures, delays, silence, or any bytes.
 *
 * It is written on dns-packet, the library the resolver encodes with, but decodes by other functions of it. Truncates what does not fit
 * into the UDP size that was asked for. Everything asked is remembered.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from 'dns-packet'

/** The numbers of RFC 1035 and RFC 6891. */
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const

export interface Asked {
  /** In lower case. */
  readonly name: string
  readonly type: string
  readonly over: 'udp' | 'tcp'
  readonly edns: boolean
  /** The client's port. */
  readonly port: number
  readonly packet: DecodedPacket
  readonly bytes: Buffer
}

/** Bytes are sent as they are; `null` is silence. */
export type Said = Partial<Packet> & { readonly rcode?: number; readonly flags?: number }
export type Saying = Said | Buffer | readonly Buffer[] | null
export type Answerer = (asked: Asked) => Saying | Promise<Saying>

export interface NameServer {
  readonly address: '127.0.0.1'
  readonly port: number
  readonly asked: readonly Asked[]
  answer: Answerer
  close(): Promise<void>
}

export async function startNameServer(answer: Answerer): Promise<NameServer> {
  const asked: Asked[] = []
  const connections = new Set<Socket>()
  const { udp, tcp, port } = await bindBoth()
  const server: NameServer = {
    address: '127.0.0.1',
    port,
    asked,
    answer,
    async close() {
      for (const connection of connections) connection.destroy()
      await Promise.all([new Promise<void>(done => udp.close(done)), new Promise(done => tcp.close(done))])
    },
  }
  const reply = async (bytes: Buffer, over: Asked['over'], clientPort: number): Promise<readonly Buffer[]> => {
    const packet = dnsPacket.decode(bytes)
    const [question] = packet.questions ?? []
    const opt = packet.additionals?.find(({ type }) => type === 'OPT')
    const one: Asked = {
      name: question?.name.toLowerCase() ?? '',
      type: question?.type ?? '',
      over,
      edns: opt !== undefined,
      port: clientPort,
      packet,
      bytes,
    }
    asked.push(one)
    const said = await server.answer(one)
    if (said === null) return []
    if (Buffer.isBuffer(said)) return [said]
    if (Array.isArray(said)) return said as readonly Buffer[]
    const whole = encodeReply(one, said as Said)
    const room = opt !== undefined && 'udpPayloadSize' in opt ? opt.udpPayloadSize : 512
    return [over === 'udp' && whole.length > room ? encodeReply(one, { flags: dnsPacket.TRUNCATED_RESPONSE }) : whole]
  }
  udp.on('message', (bytes, from) => {
    reply(bytes, 'udp', from.port).then(replies => {
      for (const one of replies) udp.send(one, from.port, from.address, () => {})
    })
  })
  tcp.on('connection', connection => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
    connection.on('error', () => {})
    let held = Buffer.alloc(0)
    connection.on('data', piece => {
      held = Buffer.concat([held, piece])
      if (held.length < 2 || held.length < held.readUInt16BE(0) + 2) return
      reply(held.subarray(2), 'tcp', connection.remotePort ?? 0).then(replies => {
        for (const one of replies) connection.write(Buffer.concat([lengthOf(one), one]))
      })
    })
  })
  return server
}

const lengthOf = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return length
}

async function bindBoth(): Promise<{ udp: UdpSocket; tcp: Server; port: number }> {
  for (;;) {
    const tcp = createServer()
    await new Promise<void>(done => tcp.listen(0, '127.0.0.1', done))
    const { port } = tcp.address() as { port: number }
    const udp = createSocket('udp4')
    const bound = await new Promise<boolean>(done => {
      udp.once('error', () => done(false))
      udp.bind(port, '127.0.0.1', () => done(true))
    })
    if (bound) return { udp, tcp, port }
    await new Promise(done => tcp.close(done))
  }
}

/** The reply to what was asked, as bytes. */
export function encodeReply({ packet, edns }: Asked, { rcode = 0, flags = 0, ...said }: Said): Buffer {
  return dnsPacket.encode({
    type: 'response',
    ...(packet.id === undefined ? {} : { id: packet.id }),
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | flags | rcode,
    questions: packet.questions ?? [],
    ...(edns ? { additionals: [OPT] } : {}),
    ...said,
  })
}

const OPT: Answer = {
  name: '.',
  type: 'OPT',
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
}

/** How a name server with these records answers, CNAMEs followed, with an SOA (negative TTL 60) where there is nothing. */
export function zone(records: readonly Answer[]): (asked: Pick<Asked, 'name' | 'type'>) => Said {
  const known = new Set<string>()
  for (const { name } of records) {
    const labels = name.toLowerCase().split('.')
    for (let i = 0; i < labels.length; i++) known.add(labels.slice(i).join('.'))
  }
  const at = (name: string, type: string): Answer[] =>
    records.filter(record => record.name.toLowerCase() === name && record.type === type)
  return ({ name, type }) => {
    const answers: Answer[] = []
    let owner = name
    for (let hops = 0; hops < 20; hops++) {
      const found = at(owner, type)
      if (found.length > 0) return { answers: [...answers, ...found] }
      const [alias] = at(owner, 'CNAME')
      if (alias === undefined) break
      answers.push(alias)
      owner = String((alias as { data: unknown }).data).toLowerCase()
    }
    const rcode = known.has(owner) ? RCODE.NOERROR : RCODE.NXDOMAIN
    return { rcode, answers, authorities: [SOA] }
  }
}

export const SOA: Answer = {
  name: 'test',
  type: 'SOA',
  ttl: 300,
  data: { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 60 },
}
