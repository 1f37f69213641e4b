// Who wants to know of what. A listener that throws is reported and the others are still called.

export class Emitter {
  constructor() { this.listeners = new Map(); }

  // Returns the function that ends it.
  on(type, listener) {
    const set = this.listeners.get(type) ?? new Set();
    set.add(listener);
    this.listeners.set(type, set);
    return () => set.delete(listener);
  }

  emit(type, value) {
    for (const listener of [...(this.listeners.get(type) ?? [])]) {
      try { listener(value); } catch (error) { reportError(error); }
    }
  }
}
