// Loads every configuration named on the command line as `milterhost check` does, in one process, and prints as JSON what is wrong with
// each: null, or the message.
import { ConfigurationSource } from '../../../src/cli/configuration.ts'

const results: (string | null)[] = []
for (const file of process.argv.slice(2)) {
  try {
    await new ConfigurationSource(file).load()
    results.push(null)
  } catch (error) {
    results.push((error as Error).message)
  }
}
process.stdout.write(JSON.stringify(results))
