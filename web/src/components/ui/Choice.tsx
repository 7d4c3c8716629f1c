import { RadioGroup } from "radix-ui";
import { classNames } from "@/components/ui/class-names";

interface Option<Value extends string> {
  readonly value: Value;
  readonly label: string;
  /** Of the option when it is chosen. */
  readonly chosenClassName?: string;
}

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly Option<Value>[];
  readonly onChange: (value: Value) => void;
  readonly small?: boolean;
}

/** One of a few, side by side. One stop of the Tab key; arrow keys choose. */
export function Choice<Value extends string>({ label, value, options, onChange, small = false }: ChoiceProps<Value>) {
  const choose = (text: string) => {
    const option = options.find((each) => each.value === text);
    if (option !== undefined) onChange(option.value);
  };
  return (
    <RadioGroup.Root
      aria-label={label}
      value={value}
      onValueChange={choose}
      className="flex gap-1 rounded-lg bg-raised p-1"
    >
      {options.map((option) => (
        <RadioGroup.Item
          key={option.value}
          value={option.value}
          className={classNames(
            "flex-1 rounded-md px-3 font-semibold whitespace-nowrap text-muted hover:text-text",
            small ? "min-h-8 text-xs" : "min-h-10 text-sm",
            value === option.value && (option.chosenClassName ?? "bg-surface text-text! shadow-sm"),
          )}
        >
          {option.label}
        </RadioGroup.Item>
      ))}
    </RadioGroup.Root>
  );
}
