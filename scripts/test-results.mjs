// What the tests left in a file: first how many passed and how many failed, then each failure by its name and with its message.
// A file that failed without a failed test in it (it could not be loaded, or its clean-up failed) counts as one.

import { readFileSync } from 'node:fs'

const { numPassedTests, testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const failures = testResults.flatMap(({ name: file, status, message, assertionResults }) => {
  const tests = assertionResults.filter(test => test.status === 'failed')
  if (tests.length === 0 && status === 'failed') return `-- ${file}\n${message}`
  return tests.map(test => `-- ${file}: ${test.fullName}\n${test.failureMessages.join('\n')}`)
})
console.log([`${numPassedTests} ${failures.length}`, ...failures].join('\n'))
