// The latest sampled packets, in a ring of fixed size.
//
// Owns which packets are kept and what came while the list stood still. Knows no element. Invariant: at most PACKETS_MAX packets are
// kept, and each id once.

/** Packets that the list holds. */
export const PACKETS_MAX = 2000;

export class PacketBuffer {
  constructor() {
    this.clear();
  }

  clear() {
    this.packets = new Array(PACKETS_MAX);
    this.head = 0; // number of the next packet
    this.count = 0;
    this.lastId = -Infinity;
    this.waiting = [];
    this.missed = 0;
  }

  /** The packet at a place, 0 being the oldest. */
  at(index) {
    return index >= 0 && index < this.count ? this.packets[(this.head - this.count + index) % PACKETS_MAX] : undefined;
  }

  /** The place of a packet, -1 where it has gone. Ids grow, so this is a search by halves. */
  find(id) {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle).id < id) low = middle + 1;
      else high = middle;
    }
    return this.at(low)?.id === id ? low : -1;
  }

  /** Takes packets, oldest first. Returns how many of the oldest had to go. */
  add(packets) {
    let gone = 0;
    for (const packet of packets) {
      if (!(packet.id > this.lastId)) continue;
      this.lastId = packet.id;
      this.packets[this.head % PACKETS_MAX] = packet;
      this.head += 1;
      if (this.count === PACKETS_MAX) gone += 1;
      else this.count += 1;
    }
    return gone;
  }

  /** Keeps packets aside while the list stands still: the latest ones, and how many came. */
  hold(packets) {
    this.missed += packets.length;
    this.waiting.push(...packets.slice(-PACKETS_MAX));
    if (this.waiting.length > PACKETS_MAX) this.waiting.splice(0, this.waiting.length - PACKETS_MAX);
  }

  /** Takes what was kept aside. Returns how many of the oldest had to go. */
  release() {
    const gone = this.add(this.waiting);
    this.waiting = [];
    this.missed = 0;
    return gone;
  }
}
