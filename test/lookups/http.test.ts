import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { http } from '../../src/lookups.ts'
import { onCleanup, until } from '../interop/harness/index.ts'
import { answerOf, codeOf, never, opened } from './support.ts'

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  port = 0,
): Promise<{ url: string; port: number; server: Server }> {
  const server = createServer(answer)
  await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
  onCleanup(() => {
    server.closeAllConnections()
    server.close()
  })
  const at = (server.address() as AddressInfo).port
  return { url: `http://127.0.0.1:${at}`, port: at, server }
}

const json = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

it('asks with the key encoded, and with the headers', async () => {
  const asked: string[] = []
  const { url } = await serve((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization} ${request.headers.accept}`)
    json(response, { greylist: false })
  })
  const whole = await opened(http({ url: `${url}/of/{key}`, headers: { authorization: 'Bearer x' } }))
  expect(await answerOf(whole, 'a/b?c=d&é@example.org')).toEqual({ greylist: false })
  const sides = await opened(http(`${url}/{domain}/{local}?again={key}`))
  expect(await answerOf(sides, 'a@example.org')).toEqual({ greylist: false })
  expect(await answerOf(sides, 'nobody')).toBeNull()
  expect(asked).toEqual([
    'GET /of/a%2Fb%3Fc%3Dd%26%C3%A9%40example.org Bearer x application/json',
    'GET /example.org/a?again=a%40example.org undefined application/json',
  ])
})

it.each([204, 404, 410])('%i means nothing there', async status => {
  const { url } = await serve((_, response) => void response.writeHead(status).end())
  expect(await answerOf(await opened(http(`${url}/{key}`)), 'a')).toBeNull()
})

it.each([
  [(response: ServerResponse): unknown => response.writeHead(500, 'Broken').end('x'), /500 Broken/],
  [(response: ServerResponse): unknown => response.writeHead(302, { location: 'file:///etc/passwd' }).end(), /./],
  [(response: ServerResponse): unknown => response.end('<html>'), /JSON/],
  [(response: ServerResponse): unknown => response.end(JSON.stringify('x'.repeat(2000))), /larger than 1000 bytes/],
  [(response: ServerResponse): unknown => response.destroy(), /./],
])('what cannot be used is an error %#', async (answer, message) => {
  const { url } = await serve((_, response) => void answer(response))
  const lookup = await opened(http({ url: `${url}/{key}`, limit: 1000 }))
  await expect(Promise.resolve(lookup.find('a', never))).rejects.toThrow(message)
  expect(await codeOf(lookup.probe(never))).toBe('LOOKUP_FAILED')
})

it('a server that says nothing is given up, and its connection closed', async () => {
  let open = 0
  const { url } = await serve(request => {
    open += 1
    request.socket.once('close', () => {
      open -= 1
    })
  })
  const lookup = await opened(http({ url: `${url}/{key}`, timeout: '200ms' }))
  expect(await answerOf(lookup, 'a')).toBe('LOOKUP_TIMEOUT')
  await until('nothing is left open', () => open === 0)
})

it('a server that is away is an error with its reason, and used again when it is back', async () => {
  const first = await serve((_, response) => json(response, 1))
  first.server.closeAllConnections()
  await new Promise(done => first.server.close(done))
  const lookup = await opened(
    http({ url: `${first.url}/{key}`, schema: z.number(), breaker: { failures: 1, pause: '50ms' } }),
  )
  await expect(Promise.resolve(lookup.find('a', never))).rejects.toThrow('ECONNREFUSED')
  await serve((_, response) => json(response, 2), first.port)
  await until('it answers', async () => (await answerOf(lookup, 'a')) === 2)
})

it('an address that is none is told when the configuration is loaded', () => {
  expect(() => http('ftp://x/{key}')).toThrow('http:// or https://')
  expect(() => http('http://x/')).toThrow('must have {key}')
  expect(http('https://me:topsecret@x/{key}').describe).not.toContain('topsecret')
})
