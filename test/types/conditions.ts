/**
 * The promises of `milterhost/conditions` that the compiler keeps. Nothing here runs: `npm run types` is the test.
 */
import { defineConfig, socket } from 'milterhost'
import { all, condition, type Facts, not, result, resultKey, setMacro, verdict } from 'milterhost/conditions'

const score = resultKey<{ readonly points: number }>('score')

const busy = async (facts: Facts): Promise<boolean> => {
  // @ts-expect-error facts are read, never written
  facts.helo = 'x'
  return facts.load.sessions > 5 && facts.result(score)?.points === 3
}

const config = defineConfig({
  filters: [
    socket('a', 'unix:/a', { when: busy, users: ['example.org', /x/, address => address.isNull], recipients: 'split' }),
    socket('b', 'unix:/b', {
      when: all(busy, not(result(score, ({ points }) => points > 1)), setMacro('x', 'y', busy)),
    }),
    socket('c', 'unix:/c', { users: recipient => recipient.domain === 'example.org', mixed: 'drop-recipients' }),
    socket('d', 'unix:/d', { users: async () => ({ wait: 5 }) }),
    // @ts-expect-error a condition is not a text
    socket('e', 'unix:/e', { when: 'authenticated' }),
    // @ts-expect-error a function says yes or no
    socket('f', 'unix:/f', { when: () => 'yes' }),
    // @ts-expect-error no such mode
    socket('g', 'unix:/g', { recipients: 'some' }),
    // @ts-expect-error no such verdict
    socket('h', 'unix:/h', { when: verdict('a', 'refused') }),
    // @ts-expect-error the result has no such field
    socket('i', 'unix:/i', { when: result(score, ({ point }) => point > 1) }),
    // @ts-expect-error no such stage
    socket('j', 'unix:/j', { when: condition(() => true, { at: 'eoh' }) }),
  ],
  policy: { 'example.org': { a: false, b: { wait: 5 } }, '*': 'c=off' },
})

// @ts-expect-error a policy switches filters
defineConfig({ policy: { 'example.org': 7 } })

void config
