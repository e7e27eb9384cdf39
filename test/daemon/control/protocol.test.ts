import { describe, expect, it } from 'vitest'
import { errorLine, readRequest, requestLine, resultLine } from '../../../src/daemon/control/protocol.ts'

const message = (line: string): string => {
  try {
    readRequest(line)
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`
  }
  return 'fine'
}

describe('a request', () => {
  it('is read as it was written, and what it does not need is left out', () => {
    expect(readRequest(requestLine({ do: 'status' }))).toEqual({ do: 'status' })
    expect(readRequest(requestLine({ do: 'enable', filter: 'spf' }))).toEqual({ do: 'enable', filter: 'spf' })
    expect(readRequest(requestLine({ do: 'kill', session: 'x.1' }))).toEqual({ do: 'kill', session: 'x.1' })
    expect(readRequest('{"milterhost":1,"do":"sessions","more":true}')).toEqual({ do: 'sessions', limit: 1000 })
  })

  it.each([
    ['status', /CONTROL_REQUEST .*not JSON/],
    ['[]', /CONTROL_REQUEST .*not an object/],
    ['null', /CONTROL_REQUEST .*not an object/],
    ['{"do":"status"}', /CONTROL_VERSION .*undefined.*1/],
    ['{"milterhost":2,"do":"status"}', /CONTROL_VERSION .*version 2 .*this daemon 1/],
    ['{"milterhost":1,"do":"statsu"}', /did you mean "status"\?/],
    ['{"milterhost":1,"do":7}', /"do" must be one of status, reload/],
    ['{"milterhost":1,"do":"enable"}', /enable needs "filter"/],
    ['{"milterhost":1,"do":"kill","session":4}', /kill needs "session"/],
    ['{"milterhost":1,"do":"sessions","limit":0}', /"limit" must be a whole number from 1 to 10000/],
  ])('such as %s is refused in words', (line, words) => expect(message(line)).toMatch(words))
})

it('an answer is one line, whatever is in it', () => {
  expect(resultLine({ text: 'a\nb\u2028' }).match(/\n/g)).toHaveLength(1)
  expect(JSON.parse(errorLine(new Error('what\never')))).toMatchObject({
    milterhost: 1,
    error: { code: 'CONTROL_FAULT', message: expect.stringContaining('what\never') },
  })
})
