/**
 * A text that cannot steer a terminal: control characters, those of C1 included, become `\xNN`.
 *
 * Line feeds stay, unless `lines` asks for one line; tabs become escapes.
 */
export function escapeControls(text: string, { lines = false }: { readonly lines?: boolean } = {}): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (control) => {
    if (control === '\n' && !lines) return control;
    return `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
