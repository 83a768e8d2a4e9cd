// Choosing a role.
import { ROLES, type Role } from "#contract/api";

export const ROLE_HINT: Record<Role, string> = {
  viewer: "reads everything",
  user: "also manages clients and tests",
  admin: "may do everything",
};

interface RoleSelectProps {
  value: Role;
  onValue: (role: Role) => void;
  /** Of a label elsewhere on the page, or else the label itself. */
  id?: string;
  label?: string;
  disabled?: boolean;
}

export function RoleSelect({ value, onValue, id, label, disabled = false }: RoleSelectProps) {
  return (
    <select
      id={id}
      class="form-select form-select-sm role-select"
      aria-label={label}
      disabled={disabled}
      value={value}
      onChange={(event) => {
        const chosen = ROLES.find((role) => role === event.currentTarget.value);
        if (chosen) onValue(chosen);
      }}
    >
      {ROLES.map((role) => (
        <option key={role} value={role} selected={role === value} title={ROLE_HINT[role]}>
          {role}
        </option>
      ))}
    </select>
  );
}
