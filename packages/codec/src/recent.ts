/** What stands in a chain. */
export interface Linked<Member> {
  older: Member | null;
  newer: Member | null;
}

/** A queue out of whose middle a member is taken without a look. One member stands in one chain at most. */
export class Chain<Member extends Linked<Member>> {
  oldest: Member | null = null;
  #newest: Member | null = null;
  size = 0;

  has(member: Member): boolean {
    return member.older !== null || this.oldest === member;
  }

  /** It is the newest from now on. */
  append(member: Member): void {
    if (member === this.#newest) return;
    this.delete(member);
    member.older = this.#newest;
    if (this.#newest) this.#newest.newer = member;
    else this.oldest = member;
    this.#newest = member;
    this.size++;
  }

  delete(member: Member): void {
    if (!this.has(member)) return;
    if (member.older) member.older.newer = member.newer;
    else this.oldest = member.newer;
    if (member.newer) member.newer.older = member.older;
    else this.#newest = member.older;
    member.older = null;
    member.newer = null;
    this.size--;
  }
}

interface Node<Key, Value> extends Linked<Node<Key, Value>> {
  readonly key: Key;
  value: Value;
}

/** A map that can be told which of its keys was set longest ago: one look, where a Map that takes a key out and in again needs three. */
export class Recent<Key, Value> {
  readonly #nodes = new Map<Key, Node<Key, Value>>();
  readonly #order = new Chain<Node<Key, Value>>();

  get size(): number {
    return this.#nodes.size;
  }

  get(key: Key): Value | undefined {
    return this.#nodes.get(key)?.value;
  }

  /** As `get`; it is the newest from now on. */
  touch(key: Key): Value | undefined {
    const node = this.#nodes.get(key);
    if (node) this.#order.append(node);
    return node?.value;
  }

  /** It is the newest from now on. */
  set(key: Key, value: Value): void {
    const known = this.#nodes.get(key);
    if (known) {
      known.value = value;
      this.#order.append(known);
      return;
    }
    const node: Node<Key, Value> = { key, value, older: null, newer: null };
    this.#nodes.set(key, node);
    this.#order.append(node);
  }

  delete(key: Key): void {
    const node = this.#nodes.get(key);
    if (!node) return;
    this.#nodes.delete(key);
    this.#order.delete(node);
  }

  /** Takes the oldest out; undefined where there is none. */
  takeOldest(): [Key, Value] | undefined {
    const node = this.#order.oldest;
    if (!node) return undefined;
    this.#nodes.delete(node.key);
    this.#order.delete(node);
    return [node.key, node.value];
  }

  /** The oldest first. */
  keys(): Key[] {
    const keys: Key[] = [];
    for (let node = this.#order.oldest; node; node = node.newer) keys.push(node.key);
    return keys;
  }
}
