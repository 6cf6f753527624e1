/** A mistake that the user can mend: the message is one sentence, and is shown as it stands. */
export class PageError extends Error {}
