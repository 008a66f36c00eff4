/**
 * Islands, the browser's half: each island's script calls this with its component.
 * @module
 */
import { type ComponentType, h, hydrate } from "preact";

type Props = Readonly<Record<string, unknown>>;

let props: readonly Props[] | undefined;

/** Brings every place of an island on the page to life, and marks it so that the style sheet may show its controls. */
export function boot(name: string, component: ComponentType<never>): void {
  for (const place of document.querySelectorAll<HTMLElement>(`ota-island[name="${name}"]`)) {
    const own = propsOf(place);
    // The server rendered this very component with these very props.
    if (own) hydrate(h(component as ComponentType<Props>, own), place);
    place.dataset["ready"] = "";
  }
}

function propsOf(place: HTMLElement): Props | undefined {
  props ??= JSON.parse(document.getElementById("ota-props")?.textContent ?? "[]") as Props[];
  return props[Number(place.dataset["props"])];
}
