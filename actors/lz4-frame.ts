/**
 * What more than one file needs of LZ4's frames: frame format 1.6. A frame is a header, blocks behind their
 * lengths, and a length of 0.
 */
export const LZ4_MAGIC = 0x184d2204
/** Magic, flags, descriptor of the blocks, checksum; nothing that the flags can add. */
export const LZ4_HEADER_BYTES = 7

/** Of the flags: version 1, and blocks that do not know of each other. */
export const LZ4_VERSION = 0x40
export const LZ4_INDEPENDENT = 0x20

/** Of a block's length: it was left as it is. */
export const LZ4_PLAIN = 0x80000000

/** What a block can hold at the most. */
export const LZ4_BLOCK_BYTES_MAX = 4 * 1024 * 1024

/** What the blocks of a frame hold at the most, by its descriptor: 4 to 7 are 64 KB, 256 KB, 1 MB, 4 MB. */
export const blockMaxOf = (descriptor: number): number => 1 << (8 + 2 * ((descriptor >> 4) & 0x07))

/** The descriptor of the least size that holds so many bytes. */
export const descriptorOf = (bytes: number): number =>
  Math.max(4, Math.ceil((Math.log2(bytes) - 8) / 2)) << 4

/** Of flags and descriptor. */
export const checksumOf = (flags: number, descriptor: number): number =>
  (Bun.hash.xxHash32(Uint8Array.of(flags, descriptor)) >>> 8) & 0xff
