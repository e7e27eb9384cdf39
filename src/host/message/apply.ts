/**
 * Applies one filter's edits to the stored message and gives the message that the next filter sees.
 *
 * Pure: the snapshot it is given stays as it was, the new one shares all that did not change. What header edits mean is
 * asked of the rules the filter was written for, which are models of what that MTA does to a milter attached to it, in
 * every corner: a chain behind milterhost delivers the bytes that the MTA's own chain of the same milters delivers. One
 * corner of Sendmail is levelled: there a removed header stays counted for the next milter if that one asked not to be
 * sent headers. Edits are valid here; what a filter sends is checked where it enters. The chain calls it.
 */
import type { ByteString } from '../bytes.ts'
import type { Path } from '../events.ts'
import type { Edit, HeaderRules } from './edit.ts'
import { changeSender, RecipientList } from './envelope.ts'
import { type HeaderEditor, HeaderList } from './header-list.ts'
import { layoutOf } from './layout.ts'
import { postfixRules } from './postfix-rules.ts'
import { sendmailRules } from './sendmail-rules.ts'
import type { MessageSnapshot } from './snapshot.ts'

export interface Applied {
  readonly message: MessageSnapshot
  /** The last reason that the edits gave for holding the message, or `null`. */
  readonly quarantine: ByteString | null
}

export function applyEdits(message: MessageSnapshot, edits: readonly Edit[], rules: HeaderRules): Applied {
  const work = new Work(message, rules)
  for (const edit of edits) work.apply(edit)
  return { message: work.finish(), quarantine: work.quarantine }
}

class Work {
  readonly #message: MessageSnapshot
  readonly #rules: HeaderRules
  #list: HeaderList | null = null
  #editor: HeaderEditor | null = null
  #recipients: RecipientList | null = null
  #sender: Path
  #body: MessageSnapshot['body']
  quarantine: ByteString | null = null

  constructor(message: MessageSnapshot, rules: HeaderRules) {
    this.#message = message
    this.#rules = rules
    this.#sender = message.sender
    this.#body = message.body
  }

  apply(edit: Edit): void {
    switch (edit.kind) {
      case 'addHeader':
        this.#headers().add(edit.name, edit.value)
        break
      case 'insertHeader':
        this.#headers().insert(edit.index, edit.name, edit.value)
        break
      case 'changeHeader':
        // On the wire an empty value is how a header is removed.
        if (edit.value === '') this.#headers().remove(edit.occurrence, edit.name)
        else this.#headers().change(edit.occurrence, edit.name, edit.value)
        break
      case 'removeHeader':
        this.#headers().remove(edit.occurrence, edit.name)
        break
      case 'addRecipient':
        this.#envelope().add(edit.address, edit.args)
        break
      case 'removeRecipient':
        this.#envelope().remove(edit.address)
        break
      case 'changeSender':
        this.#sender = changeSender(this.#sender, edit.address, edit.args, this.#rules)
        break
      case 'replaceBody':
        this.#body = edit.body
        break
      case 'quarantine':
        this.quarantine = edit.reason
    }
  }

  finish(): MessageSnapshot {
    return {
      ...this.#message,
      ...this.#list?.finish(),
      sender: this.#sender,
      recipients: this.#recipients?.finish() ?? this.#message.recipients,
      body: this.#body,
    }
  }

  #headers(): HeaderEditor {
    if (this.#editor === null) {
      this.#list = new HeaderList(layoutOf(this.#message))
      this.#editor = this.#rules === 'postfix' ? postfixRules(this.#list) : sendmailRules(this.#list)
    }
    return this.#editor
  }

  #envelope(): RecipientList {
    this.#recipients ??= new RecipientList(this.#message.recipients)
    return this.#recipients
  }
}
