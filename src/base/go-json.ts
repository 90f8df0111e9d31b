/** JSON with those characters escaped that Go's encoder escapes, byte for byte what mc-router writes. They stand only inside of strings. */
export const likeGo = (json: string): string =>
  json.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
