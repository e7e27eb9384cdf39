/**
 * The milter wire codec for protocol versions 2, 3, 4 and 6, both directions: Buffers in and out, text as byte strings. No
 * socket, timer or state of a conversation. `bridge/mta` and `bridge/milter` build on this face and import nothing behind it.
 */

export {
  formatSocketAddress,
  longestSocketPath,
  parseSocketAddress,
  type SocketAddress,
  type SocketSpelling,
} from './address.ts'
export {
  type Agreement,
  type AnswerOptions,
  acceptAnswer,
  allActions,
  allProtocol,
  answerOffer,
  effectiveOffer,
  latestVersion,
  leastVersion,
  type Needs,
  offerToMilter,
  protocolOfVersion,
} from './agreement.ts'
export {
  type Command,
  type CommandKind,
  type ConnectCommand,
  type ConnectFamily,
  commandKind,
  commandLetter,
  decodeCommand,
  encodeCommand,
  type MacrosCommand,
  type NegotiateCommand,
  type PathCommand,
  writeCommand,
} from './command.ts'
export type { DecodeOptions, Irregularity } from './decode.ts'
export { bodyChunkSize, PacketWriter } from './encode.ts'
export { quoted, WireError, type WireErrorCode, wireErrors } from './error.ts'
export { defaultMaxFrame, FrameDecoder, type FrameLimits, type OnFrame, SpareBuffers } from './frame.ts'
export { headerFromWire, headerNameFault, headerToWire, headerValueFault } from './header-text.ts'
export { bareMacroName, bracedMacroName, type Macro } from './macros.ts'
export {
  action,
  actionBits,
  actionNames,
  commandByte,
  commandName,
  macroStage,
  packetName,
  protocol,
  protocolBits,
  protocolNames,
  replyByte,
  replyName,
  stageName,
} from './names.ts'
export { type Negotiation, type SymbolList, symbolNames, symbolText } from './negotiate.ts'
export {
  type BareReply,
  decodeReply,
  encodeReply,
  type HeaderReply,
  type NegotiateReply,
  neededAction,
  type Reply,
  type ReplyKind,
  replyLetter,
  writeReply,
} from './reply.ts'
export {
  type DecodedReplyText,
  decodeReplyText,
  encodeReplyText,
  replyFault,
  replyLimits,
} from './reply-text.ts'
