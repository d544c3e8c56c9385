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
